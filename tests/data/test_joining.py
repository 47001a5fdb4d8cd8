"""Several datasets become one catalog: sources are kept, and groups reach across them."""

import logging
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from falx.data.catalog import Catalog, build_catalog, grouped
from falx.data.joining import as_paths, build_joined_catalog, joined_classes, source_names
from falx.errors import BadInput, UnusableData
from falx.phantoms import write_phantoms
from falx.runs.inputs import run_name


def folder_of(files, folder):
    """A dataset of these files, each in the class folder that it came from."""
    for file in files:
        (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / file.parent.name)
    return folder


@pytest.fixture
def two(phantoms, tmp_path, brightened):
    """Two datasets in different places; `b` has a near-copy of a slice of `a`."""
    files = sorted(phantoms.glob("*/*.png"))
    a = folder_of(files[:5] + files[-5:], tmp_path / "a")
    b = folder_of(files[10:13] + files[-13:-10], tmp_path / "elsewhere" / "b")
    brightened(files[0], b / files[0].parent.name / "copy.png")
    return a, b


def test_each_slice_keeps_its_source_and_can_be_read(two, tmp_path):
    joined = build_joined_catalog(two)
    assert joined.root == tmp_path
    assert joined.classes == ("no", "yes")
    assert joined.table.groupby("source").size().to_dict() == {"a": 10, "b": 7}
    assert (joined.source_names, joined.name) == (("a", "b"), "a + b")
    assert joined.sources.tolist() == [0] * 10 + [1] * 7
    assert joined.table["path"].str.startswith(("a/", "elsewhere/b/")).all()
    assert all(joined.file(row).is_file() for row in range(len(joined)))


def test_a_near_duplicate_in_another_dataset_is_in_the_same_group(two):
    table = build_joined_catalog(two).table
    sources = table.groupby("group")["source"].agg(set)
    assert sources.map(len).tolist().count(2) == 1
    across = table[table["group"] == sources.index[sources.map(len) == 2][0]]
    assert across["path"].str.rpartition("/")[2].tolist() == [
        across["path"].iloc[0].rpartition("/")[2], "copy.png",
    ]  # fmt: skip


def test_one_dataset_is_what_it_was(phantoms):
    joined, alone = build_joined_catalog([phantoms]), build_catalog(phantoms)
    pd.testing.assert_frame_equal(joined.table, alone.table)
    assert joined.root == alone.root
    assert alone.source_names == ("phantoms",)
    assert alone.digest() == joined.digest()


def test_the_digest_knows_which_slice_is_of_which_dataset(two):
    joined = build_joined_catalog(two)
    moved = joined.table.assign(source=["b", *joined.table["source"].iloc[1:]])
    assert Catalog(joined.root, joined.classes, moved).digest() != joined.digest()


def test_a_joined_catalog_read_back_is_the_one_that_was_written(two, tmp_path):
    joined = build_joined_catalog(two)
    joined.save(tmp_path / "catalog.parquet")
    read = Catalog.load(tmp_path / "catalog.parquet")
    pd.testing.assert_frame_equal(read.table, joined.table)
    assert read.digest() == joined.digest()


@pytest.fixture(scope="module")
def unlike(tmp_path_factory):
    """A function that joins two datasets of slices that are all unlike, with these patients."""
    folder = tmp_path_factory.mktemp("unlike")
    for name, seed in (("a", 1), ("b", 2)):
        write_phantoms(folder / name, 6, seed=seed, size=96)

    def join(patients, others) -> pd.DataFrame:
        paths = []
        for name, numbers in (("a", patients), ("b", others)):
            files = sorted((folder / name).glob("*/*.png"))
            table = folder / f"{name}.csv"
            pd.DataFrame(
                {
                    "path": files,
                    "label": [file.parent.name for file in files],
                    "patient": numbers,
                }
            ).to_csv(table, index=False)
            paths.append(table)
        return build_joined_catalog(paths).table

    return join


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(*[st.lists(st.sampled_from(["1", "2", ""]), min_size=6, max_size=6)] * 2)
def test_patients_of_one_number_are_other_people_in_another_dataset(unlike, patients, others):
    table = unlike(patients, others)
    assert (table.groupby("group")["source"].nunique() == 1).all()
    for source, numbers in (("a", patients), ("b", others)):
        own = table[table["source"] == source]
        assert own["patient"].tolist() == [f"{source}/{each}" if each else "" for each in numbers]
        known = own[own["patient"] != ""]
        assert (known.groupby("patient")["group"].nunique() == 1).all()


def test_volumes_of_one_name_are_apart_and_numbers_of_series_are_unique(unlike):
    table = unlike([""] * 6, [""] * 6).drop(columns=["group", "duplicates"])
    apart = grouped(Path("/"), ("no", "yes"), table.assign(volume="v.nii in " + table["source"]))
    assert len(np.unique(apart.groups)) == 2
    one = grouped(Path("/"), ("no", "yes"), table.assign(series="1.2.3"))
    assert len(np.unique(one.groups)) == 1


def test_datasets_of_one_name_are_told_apart_by_the_folders_above(tmp_path):
    for name in ("one/data", "two/data", "three"):
        (tmp_path / name).mkdir(parents=True)
    both = [tmp_path / "one" / "data", tmp_path / "two" / "data"]
    assert source_names(both) == ("one/data", "two/data")
    assert source_names([*both[:1], tmp_path / "three"]) == ("data", "three")
    assert source_names([Path("x/labels.csv"), Path("x/others.csv")]) == ("labels", "others")
    assert source_names([Path("x/labels.csv"), Path("x/labels.parquet")]) == (
        "labels.csv", "labels.parquet",
    )  # fmt: skip


def test_a_dataset_twice_or_in_another_is_refused(two, phantoms, tmp_path):
    overlap = partial(pytest.raises, BadInput, match="overlap, so that slices would count twice")
    with overlap():
        build_joined_catalog([two[0], two[0] / ".." / "a"])
    with overlap():
        build_joined_catalog([two[0], two[0] / "yes" / ".."])
    (tmp_path / "link").symlink_to(two[0])
    with overlap():
        build_joined_catalog([two[0], tmp_path / "link"])
    first = next(two[0].glob("yes/*"))
    (tmp_path / "table.csv").write_text(f"path,label\n{first},yes\n")
    with overlap():
        build_joined_catalog([two[0], tmp_path / "table.csv"])


def test_no_dataset_at_all_is_refused():
    assert as_paths("a") == as_paths([Path("a")]) == (Path("a"),)
    with pytest.raises(BadInput, match="No dataset is named"):
        as_paths([])


def test_a_dataset_may_lack_a_class_but_not_all_of_them(two, tmp_path):
    for label in ("no", "yes"):
        shutil.copytree(two[0] / label, tmp_path / label / label)
    joined = build_joined_catalog([tmp_path / "no", tmp_path / "yes"])
    assert joined.counts == {"no": 5, "yes": 5}
    shutil.copytree(two[1] / "no", tmp_path / "others" / "no")
    with pytest.raises(UnusableData, match="All datasets hold only the class 'no'"):
        build_joined_catalog([tmp_path / "no", tmp_path / "others"])


def test_kinds_of_tumors_are_folded_and_it_is_said(phantoms, kinds, caplog):
    with caplog.at_level(logging.WARNING, "falx"):
        joined = build_joined_catalog([phantoms, kinds])
    assert joined.counts == {"no": 40, "yes": 50}
    assert "no, healthy count as 'no', yes, glioma, pituitary as 'yes'" in caplog.text


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([{"no", "yes"}, {"no", "yes"}], {"no": "no", "yes": "yes"}),
        ([{"a", "b", "c"}, {"a", "b"}], {"a": "a", "b": "b", "c": "c"}),
        ([{"no"}, {"yes"}], {"no": "no", "yes": "yes"}),
        ([{"no", "glioma"}, {"yes"}], {"no": "no", "glioma": "yes", "yes": "yes"}),
        (
            [{"healthy", "glioma"}, {"normal", "meningioma"}],
            {"healthy": "healthy", "glioma": "tumor", "normal": "healthy", "meningioma": "tumor"},
        ),
    ],
)
def test_equal_names_stay_and_others_are_folded(classes, expected):
    assert joined_classes(dict(zip("xy", classes, strict=True))) == expected


@pytest.mark.parametrize(
    "classes", [[{"a", "b"}, {"c"}], [{"no", "yes"}, {"stroke"}], [{"glioma"}, {"meningioma"}]]
)
def test_classes_that_do_not_agree_are_refused(classes):
    with pytest.raises(BadInput, match=r"hold different classes .* rename the folders"):
        joined_classes(dict(zip("xy", classes, strict=True)))


def test_a_run_is_named_after_at_most_three_datasets():
    assert run_name("lite", [Path("a b/c.csv")]) == "lite-c"
    assert run_name("lite", list(map(Path, "abc"))) == "lite-a-b-c"
    assert run_name("lite", list(map(Path, "abcde"))) == "lite-a-b-c-and-2-more"
