"""A catalog lists every slice of a dataset, and nothing is left out silently."""

import logging
import os
import shutil
import sqlite3

import cv2
import numpy as np
import pandas as pd
import pytest

from falx.data.cache import FactCache
from falx.data.catalog import Catalog, build_catalog
from falx.data.class_names import has_negative, order_classes
from falx.errors import BadInput, UnusableData
from falx.progress import Progress


@pytest.fixture
def data(phantoms, tmp_path):
    """Eight slices, four of each class, in a folder of one's own."""
    for label in ("yes", "no"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for file in sorted((phantoms / label).iterdir())[:4]:
            shutil.copy(file, tmp_path / "data" / label)
    return tmp_path / "data"


def problems(catalog):
    table = catalog.table
    return {p: q for p, q in zip(table["path"], table["problem"], strict=True) if q}


def test_one_folder_per_class_becomes_one_row_per_slice(data):
    catalog = build_catalog(data)
    assert catalog.classes == ("no", "yes")
    assert catalog.table["label"].value_counts().to_dict() == {"no": 4, "yes": 4}
    assert catalog.table["path"].str.startswith(("no/", "yes/")).all()
    assert all(catalog.file(row).is_file() for row in range(len(catalog)))
    assert sorted(np.bincount(catalog.labels)) == [4, 4]
    assert len(np.unique(catalog.groups)) == 8


def test_a_file_that_can_not_be_read_keeps_its_row_with_the_reason(data):
    (data / "yes" / "notes.jpg").write_text("this is not a picture")
    (data / "yes" / "empty.png").touch()
    whole = next((data / "no").iterdir()).read_bytes()
    (data / "no" / "cut.png").write_bytes(whole[: len(whole) // 2])
    catalog = build_catalog(data)
    found = problems(catalog)
    assert set(found) == {"yes/notes.jpg", "yes/empty.png", "no/cut.png"}
    assert "not a JPEG" in found["yes/notes.jpg"]
    assert "0 bytes" in found["yes/empty.png"]
    assert "cut off" in found["no/cut.png"]
    assert len(catalog.usable()) == 8


def test_tiny_and_blank_slices_are_named(data):
    cv2.imwrite(
        str(data / "yes" / "tiny.png"),
        np.random.default_rng(0).integers(0, 255, (20, 20), np.uint8),
    )
    cv2.imwrite(str(data / "no" / "blank.png"), np.full((100, 100), 7, np.uint8))
    found = problems(build_catalog(data))
    assert found["yes/tiny.png"].startswith("tiny: 20 x 20 pixels")
    assert found["no/blank.png"].startswith("blank")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs to drop root's rights")
def test_a_file_that_may_not_be_opened_keeps_its_row_and_a_closed_folder_is_one_sentence(data):
    for folder in (data, *data.parents):
        if str(folder) != "/" and "pytest" in str(folder):
            folder.chmod(0o755)
    build_catalog(data)
    cache = data / "cache"
    cache.mkdir(mode=0o777)
    cache.chmod(0o777)
    secret = sorted((data / "yes").iterdir())[0]
    secret.chmod(0)
    me = os.geteuid()
    nobody = 65534 if me == 0 else me  # root may open everything
    os.seteuid(nobody)
    try:
        assert "can't be opened" in problems(build_catalog(data, cache=cache))[f"yes/{secret.name}"]
        os.seteuid(me)
        (data / "no").chmod(0)
        os.seteuid(nobody)
        with pytest.raises(BadInput, match=r"no' can't be opened \(Permission denied\)"):
            build_catalog(data, cache=cache)
    finally:
        os.seteuid(me)
        (data / "no").chmod(0o755)


def test_copies_and_slices_of_one_patient_share_a_group(data, tmp_path):
    first = sorted((data / "yes").iterdir())[0]
    shutil.copy(first, data / "yes" / "copy.png")
    small = cv2.resize(
        cv2.imread(str(first), 0), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA
    )
    cv2.imwrite(str(data / "no" / "recompressed.jpg"), small)
    catalog = build_catalog(data)
    groups = dict(zip(catalog.table["path"], catalog.groups, strict=True))
    assert groups["yes/copy.png"] == groups[f"yes/{first.name}"] == groups["no/recompressed.jpg"]
    assert len(set(groups.values())) == 8


def test_a_table_states_label_patient_and_split(data, tmp_path):
    files = sorted(data.rglob("*.png"))
    table = pd.DataFrame(
        {
            "path": [os.path.relpath(file, tmp_path) for file in files],
            "label": [file.parent.name for file in files],
            "patient": ["a", "a", "b", "b", "c", "c", "", ""],
            "split": ["train", "train", "val", "val", "test", "test", "", ""],
        }
    )
    table.to_csv(tmp_path / "list.csv", index=False)
    table.to_parquet(tmp_path / "list.parquet")
    for name in ("list.csv", "list.parquet"):
        catalog = build_catalog(tmp_path / name)
        assert catalog.table["path"].tolist() == table["path"].tolist()
        assert catalog.table["patient"].tolist() == table["patient"].tolist()
        assert catalog.table["split"].tolist()[::2] == ["train", "validation", "test", ""]
        assert catalog.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 4]


def test_a_missing_file_of_a_table_keeps_its_row(data, tmp_path):
    files = [*sorted(data.rglob("*.png")), tmp_path / "gone.png"]
    pd.DataFrame({"path": files, "label": [f.parent.name for f in files[:-1]] + ["yes"]}).to_csv(
        tmp_path / "list.csv", index=False
    )
    assert list(problems(build_catalog(tmp_path / "list.csv"))) == ["gone.png"]


def test_folders_of_parts_are_recognized(data, tmp_path):
    shutil.move(data, tmp_path / "Training")
    shutil.copytree(tmp_path / "Training", tmp_path / "set" / "Testing")
    shutil.move(tmp_path / "Training", tmp_path / "set" / "Training")
    catalog = build_catalog(tmp_path / "set")
    assert catalog.classes == ("no", "yes")
    assert catalog.table["split"].value_counts().to_dict() == {"train": 8, "test": 8}


@pytest.mark.parametrize(
    ("names", "positive", "classes"),
    [
        (["yes", "no"], None, ("no", "yes")),
        (["tumor", "no_tumor"], None, ("no_tumor", "tumor")),
        (["Tumor", "Healthy"], None, ("Healthy", "Tumor")),
        (["a", "b"], None, ("a", "b")),
        (["a", "b"], "a", ("b", "a")),
        (["pituitary", "notumor", "glioma"], None, ("notumor", "glioma", "pituitary")),
    ],
)
def test_the_negative_class_comes_first(phantoms, tmp_path, names, positive, classes):
    files = sorted(phantoms.rglob("*.png"))
    for number, name in enumerate(names):
        (tmp_path / name).mkdir()
        shutil.copy(files[number], tmp_path / name)
    assert build_catalog(tmp_path, positive=positive).classes == classes


def test_a_wrong_positive_class_is_refused(data):
    with pytest.raises(BadInput, match=r"no class 'tumour'; the data have no, yes"):
        build_catalog(data, positive="tumour")


def test_the_second_look_reads_no_image(data, monkeypatch):
    first = build_catalog(data).table
    tasks = set()
    second = build_catalog(data, listener=lambda step: tasks.add(step.task)).table
    assert tasks == {"Hashing"}
    pd.testing.assert_frame_equal(first, second)


def test_a_changed_file_is_read_again(data):
    build_catalog(data)
    file = sorted((data / "yes").iterdir())[0]
    image = cv2.imread(str(file), 0)
    cv2.imwrite(str(file), 255 - image)
    tasks: list[Progress] = []
    build_catalog(data, listener=tasks.append)
    assert [step.total for step in tasks if step.task == "Reading"] == [1]


def test_a_damaged_cache_is_said_and_done_without(data, tmp_path, caplog):
    cache = tmp_path / "broken"
    cache.mkdir()
    from falx.data import facts

    (cache / f"facts-{facts.VERSION}.sqlite").write_bytes(b"not a database" * 100)
    with caplog.at_level(logging.WARNING, "falx"):
        assert len(build_catalog(data, cache=cache)) == 8
    assert "can't be used" in caplog.text


def test_a_catalog_survives_its_parquet_file(data, tmp_path):
    catalog = build_catalog(data)
    catalog.save(tmp_path / "catalog.parquet")
    again = Catalog.load(tmp_path / "catalog.parquet")
    assert (again.root, again.classes) == (catalog.root, catalog.classes)
    assert (
        again.table["surroundings"].map(list).tolist()
        == catalog.table["surroundings"].map(list).tolist()
    )
    plain = catalog.table.columns.drop(["rings", "surroundings"])
    pd.testing.assert_frame_equal(again.table[plain], catalog.table[plain])


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda folder: None, BadInput, "does not exist"),
        (lambda folder: folder.mkdir(), UnusableData, "no images in class subfolders"),
        (lambda folder: (folder / "yes").mkdir(parents=True), UnusableData, "no images"),
        (lambda folder: folder.write_text("x"), BadInput, "neither a folder nor"),
    ],
    ids=["missing", "empty", "empty class", "a file"],
)
def test_data_that_can_not_be_used_is_one_sentence(tmp_path, make, error, sentence):
    make(tmp_path / "data")
    with pytest.raises(error, match=sentence):
        build_catalog(tmp_path / "data")


def test_a_single_class_is_refused(data):
    shutil.rmtree(data / "no")
    with pytest.raises(
        UnusableData, match="only the class 'yes', and a classifier needs at least two"
    ):
        build_catalog(data)


def test_a_set_without_one_readable_image_is_refused(tmp_path):
    for label in ("yes", "no"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.png").write_text("no picture")
    with pytest.raises(
        UnusableData, match=r"None of the 2 files .* can be used; the first: 'no/a\.png'"
    ):
        build_catalog(tmp_path)


@pytest.mark.parametrize("header", ["file,label", "path,klass"])
def test_a_table_without_the_needed_columns_names_them(tmp_path, header):
    (tmp_path / "list.csv").write_text(f"{header}\na.png,yes\nb.png,no\n")
    with pytest.raises(BadInput, match=r"lacks the column '(path|label)'; it needs path and label"):
        build_catalog(tmp_path / "list.csv")


def test_a_file_that_a_table_names_twice_is_refused(data, tmp_path):
    (data / "t.csv").write_text("path,label\nyes/a.png,yes\nno/b.png,no\nyes/a.png,yes\n")
    with pytest.raises(BadInput, match=r"names 'yes/a\.png' twice"):
        build_catalog(data / "t.csv")


def test_a_folder_beside_the_parts_is_refused(data, tmp_path):
    parts = tmp_path / "parts"
    for part in ("train", "test"):
        shutil.copytree(data, parts / part)
    (parts / "predictions").mkdir()
    with pytest.raises(BadInput, match="beside them predictions/"):
        build_catalog(parts)


def test_images_beside_the_classes_are_named(data, caplog):
    shutil.copy(next((data / "yes").iterdir()), data / "loose.png")
    assert "loose.png" not in " ".join(build_catalog(data).table["path"])
    assert "loose.png, have no class and are left out" in caplog.text


def test_the_reason_of_an_unreadable_file_names_that_file_wherever_its_copy_was_seen(
    data, tmp_path
):
    (data / "yes" / "broken.png").write_bytes(b"nothing")
    assert "yes/broken.png" in problems(build_catalog(data))["yes/broken.png"]
    (data / "yes" / "broken.png").rename(data / "no" / "other.png")
    assert "no/other.png" in problems(build_catalog(data))["no/other.png"]


def test_links_keep_the_names_of_the_links(data, tmp_path):
    linked = tmp_path / "linked"
    for file in data.glob("*/*"):
        target = linked / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file)
    assert set(build_catalog(linked).table["path"]) == set(build_catalog(data).table["path"])


def test_a_pipe_does_not_keep_the_catalog_waiting(data):
    os.mkfifo(data / "yes" / "pipe.png")
    assert "can't be opened" in problems(build_catalog(data))["yes/pipe.png"]


def test_a_full_disk_under_the_cache_is_said_and_done_without(data, tmp_path, monkeypatch, caplog):
    def full(self, entries):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(FactCache, "put", full)
    assert len(build_catalog(data, cache=tmp_path / "cache")) > 0
    assert "database or disk is full" in caplog.text


@pytest.mark.parametrize(
    ("names", "ordered", "negative"),
    [
        (["benign", "malignant", "normal"], ("normal", "benign", "malignant"), True),
        (["benign", "malignant"], ("benign", "malignant"), True),
        (["pituitary", "glioma", "meningioma"], ("glioma", "meningioma", "pituitary"), False),
        (["notumor", "glioma", "pituitary"], ("notumor", "glioma", "pituitary"), True),
    ],
)
def test_a_class_is_negative_by_its_name(names, ordered, negative):
    assert order_classes(names) == ordered
    assert has_negative(ordered) is negative


def test_a_positive_class_that_is_guessed_is_said(caplog):
    assert order_classes(["scan_a", "scan_b"]) == ("scan_a", "scan_b")
    assert "taking 'scan_b' (set --positive)" in caplog.text
