"""A pretraining corpus shares no group with the dataset to be evaluated."""

import shutil

import numpy as np
import pytest

from falx.data.catalog import build_catalog
from falx.errors import BadInput, UnusableData
from falx.pretraining.corpus import build_corpus, check_other_dataset

CLASSES = ("healthy", "glioma", "pituitary")


@pytest.fixture(scope="module")
def data(phantoms):
    return build_catalog(phantoms)


def test_a_corpus_keeps_the_classes_of_its_dataset(data, kinds):
    corpus = build_corpus(kinds, data, seed=0)
    assert set(corpus.catalog.classes) == set(CLASSES)
    assert (len(corpus.catalog), corpus.excluded) == (30, 0)


def test_slices_that_share_a_group_with_the_dataset_are_excluded_and_counted(data, mixed):
    corpus = build_corpus(mixed, data, seed=0)
    assert corpus.excluded == 5
    assert len(corpus.catalog) == 30
    assert not corpus.catalog.table["path"].str.contains("seen").any()
    summary = corpus.summary()
    parts = summary["excluded"] + summary["trained_on"] + summary["held_out"]
    assert summary["slices"] == parts == 35
    assert summary["name"] == "mixed"


def test_a_near_duplicates_patient_is_excluded_but_not_the_datasets_patient_of_that_number(
    data, kinds, phantoms, brightened, tmp_path
):
    """Patient 1 of one dataset is not patient 1 of another."""
    brightened(sorted(phantoms.glob("no/*.png"))[0], tmp_path / "seen.png")
    table = ["path,label,patient", "seen.png,glioma,p0"]
    for number, file in enumerate(sorted(kinds.glob("*/*.png"))):
        shutil.copy(file, tmp_path / f"{number}.png")
        table.append(f"{number}.png,{CLASSES[number % 3]},p{number // 2}")
    (tmp_path / "table.csv").write_text("\n".join(table))
    table = data.table.assign(patient="p7")
    named = type(data)(data.root, data.classes, table)
    corpus = build_corpus(tmp_path / "table.csv", named, seed=0)
    assert corpus.excluded == 3
    assert set(corpus.catalog.table["patient"]) == {f"p{number}" for number in range(1, 15)}


def test_a_tenth_of_the_slices_is_held_out_with_all_classes(data, kinds):
    corpus, again, other = (build_corpus(kinds, data, seed=seed) for seed in (0, 0, 1))
    assert corpus.held_out.sum() == 3
    assert set(corpus.catalog.table["label"][corpus.held_out]) == set(CLASSES)
    groups = corpus.catalog.groups
    assert not set(groups[corpus.held_out]) & set(groups[~corpus.held_out])
    np.testing.assert_array_equal(again.held_out, corpus.held_out)
    assert (other.held_out != corpus.held_out).any()


def test_a_dataset_is_not_pretrained_on_itself(phantoms, kinds):
    check_other_dataset(kinds, phantoms)
    with pytest.raises(BadInput, match=r"pretrained on itself; name another dataset"):
        check_other_dataset(phantoms / "yes" / "..", phantoms)


def test_if_nothing_is_left_the_error_gives_numbers_and_advice(
    data, phantoms, brightened, tmp_path
):
    for number, file in enumerate(sorted(phantoms.glob("*/*.png"))[:12]):
        brightened(file, tmp_path / "copies" / CLASSES[number % 2] / f"{number}.png")
    with pytest.raises(
        UnusableData,
        match=r"Nothing is left .* 12 of the 12 slices of 'copies' .* 'phantoms'; name another",
    ):
        build_corpus(tmp_path / "copies", data, seed=0)


def test_a_class_with_too_few_groups_left_is_named(data, kinds, phantoms, brightened, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(kinds, folder)
    for number, file in enumerate(sorted(phantoms.glob("*/*.png"))[:4]):
        brightened(file, folder / "rare" / f"{number}.png")
    with pytest.raises(
        UnusableData, match=r"4 of the 34 .* class 'rare' 0 other group\(s\) .* needs 2"
    ):
        build_corpus(folder, data, seed=0)


def test_a_dataset_of_one_class_is_an_error(data, kinds, tmp_path):
    shutil.copytree(kinds / "glioma", tmp_path / "one" / "glioma")
    with pytest.raises(UnusableData, match="only the class 'glioma'"):
        build_corpus(tmp_path / "one", data, seed=0)
