"""What a backbone is pretrained on holds nothing near the dataset that is to be evaluated."""

import shutil

import numpy as np
import pytest

from falx.data.catalog import build_catalog
from falx.errors import BadInput, UnusableData
from falx.pretraining.corpus import check_other, find_corpus

KINDS = ("healthy", "glioma", "pituitary")


@pytest.fixture(scope="module")
def data(phantoms):
    return build_catalog(phantoms)


def test_slices_of_another_dataset_stay_with_their_own_classes(data, kinds):
    corpus = find_corpus(kinds, data, seed=0)
    assert set(corpus.catalog.classes) == set(KINDS)
    assert (len(corpus.catalog), corpus.removed) == (30, 0)


def test_whatever_shares_a_group_with_the_dataset_is_left_out_and_counted(data, mixed):
    corpus = find_corpus(mixed, data, seed=0)
    assert corpus.removed == 5
    assert len(corpus.catalog) == 30
    assert not corpus.catalog.table["path"].str.contains("seen").any()
    about = corpus.about()
    assert about["slices"] == about["removed"] + about["learned"] + about["held_out"] == 35
    assert about["name"] == "mixed"


def test_the_rest_of_a_twins_patient_is_left_out_but_no_patient_of_the_same_number(
    data, kinds, phantoms, brightened, tmp_path
):
    """Patient 1 of one dataset is not patient 1 of another."""
    brightened(sorted(phantoms.glob("no/*.png"))[0], tmp_path / "seen.png")
    table = ["path,label,patient", "seen.png,glioma,p0"]
    for number, file in enumerate(sorted(kinds.glob("*/*.png"))):
        shutil.copy(file, tmp_path / f"{number}.png")
        table.append(f"{number}.png,{KINDS[number % 3]},p{number // 2}")
    (tmp_path / "table.csv").write_text("\n".join(table))
    numbered = data.table.assign(patient="p7")
    named = type(data)(data.root, data.classes, numbered)
    corpus = find_corpus(tmp_path / "table.csv", named, seed=0)
    assert corpus.removed == 3
    assert set(corpus.catalog.table["patient"]) == {f"p{number}" for number in range(1, 15)}


def test_a_tenth_of_the_groups_is_held_out_with_all_classes(data, kinds):
    corpus, again, other = (find_corpus(kinds, data, seed=seed) for seed in (0, 0, 1))
    assert corpus.held.sum() == 3
    assert set(corpus.catalog.table["label"][corpus.held]) == set(KINDS)
    groups = corpus.catalog.groups
    assert not set(groups[corpus.held]) & set(groups[~corpus.held])
    np.testing.assert_array_equal(again.held, corpus.held)
    assert (other.held != corpus.held).any()


def test_a_dataset_is_not_pretrained_on_itself(phantoms, kinds):
    check_other(kinds, phantoms)
    with pytest.raises(BadInput, match=r"pretrained on itself; name another dataset"):
        check_other(phantoms / "yes" / "..", phantoms)


def test_with_nothing_left_the_numbers_and_a_way_on_are_told(data, phantoms, brightened, tmp_path):
    for number, file in enumerate(sorted(phantoms.glob("*/*.png"))[:12]):
        brightened(file, tmp_path / "copies" / KINDS[number % 2] / f"{number}.png")
    with pytest.raises(
        UnusableData,
        match=r"Nothing is left .* 12 of the 12 slices of 'copies' .* 'phantoms'; name another",
    ):
        find_corpus(tmp_path / "copies", data, seed=0)


def test_a_class_with_too_few_groups_left_is_named(data, kinds, phantoms, brightened, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(kinds, folder)
    for number, file in enumerate(sorted(phantoms.glob("*/*.png"))[:4]):
        brightened(file, folder / "rare" / f"{number}.png")
    with pytest.raises(UnusableData, match=r"4 of the 34 .* class 'rare' 0 group\(s\) .* needs 2"):
        find_corpus(folder, data, seed=0)


def test_a_dataset_of_one_class_is_refused(data, kinds, tmp_path):
    shutil.copytree(kinds / "glioma", tmp_path / "one" / "glioma")
    with pytest.raises(UnusableData, match="only the class 'glioma'"):
        find_corpus(tmp_path / "one", data, seed=0)
