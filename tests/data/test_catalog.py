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
from falx.data.catalog import Catalog, build_catalog, group_rows, shares_group_with
from falx.data.class_names import has_negative, order_classes
from falx.data.mask_labels import NO_MASK, TOO_LITTLE, TOO_NEAR
from falx.data.mask_rule import MaskRule
from falx.data.volumes import REPEATED
from falx.errors import BadInput, UnusableData
from falx.progress import Progress
from small_scans import AXIAL, dicom, head, segmentation, series, tumor, write, write_nifti


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
    assert "loose.png, have no label and are left out" in caplog.text


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
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


PLACED = ["head_top", "head_left", "head_bottom", "head_right"]
SHAPE = (48, 56, 24)


@pytest.fixture
def patients(tmp_path):
    """Two patients with a NIfTI volume and a mask, the second stored in another orientation."""
    write_nifti(tmp_path / "set/P1/t1c.nii.gz", head(SHAPE, seed=1), (1, 1, 4))
    write_nifti(tmp_path / "set/P1/t1c_mask.nii.gz", tumor(SHAPE).astype(np.uint8), (1, 1, 4))
    flipped = np.array([[-1.0, 0, 0, 47], [0, -1, 0, 55], [0, 0, 4, 0], [0, 0, 0, 1]])
    write_nifti(tmp_path / "set/P2/t1c.nii.gz", head(SHAPE, seed=2)[::-1, ::-1], flipped)
    write_nifti(tmp_path / "set/P2/t1c_mask.nii.gz", tumor(SHAPE).astype(np.uint8), (1, 1, 4))
    return tmp_path / "set"


def test_slices_of_patients_get_their_labels_from_the_masks(patients):
    catalog = build_catalog(patients)
    table = catalog.table
    assert catalog.classes == ("no_tumor", "tumor")
    assert (table["problem"] != "").sum() == (table["problem"] == TOO_LITTLE).sum()
    areas = tumor(SHAPE).sum(axis=(0, 1))
    for patient in ("P1", "P2"):
        part = table[table["patient"] == patient]
        assert part["tumor_area"].tolist() == areas[part["index"]].tolist()
        assert (part["label"] == "tumor").tolist() == (areas[part["index"]] >= 20).tolist()
        assert set(part["mask"]) == {f"{patient}/t1c_mask.nii.gz"}
        assert set(part["volume"]) == {f"{patient}/t1c.nii.gz"}
    assert set(table["path"]) == {"P1/t1c.nii.gz", "P2/t1c.nii.gz"}
    assert catalog.usable().labels.sum() == 2 * (areas >= 20).sum()
    assert (table.groupby("patient")["group"].nunique() == 1).all()


def test_the_rule_for_masks_can_be_set(patients):
    margin = build_catalog(patients, masks=MaskRule(tumor_area=0, tumor_margin=4)).table
    # The slice above and the one below, in each of two volumes.
    assert (margin["problem"] == TOO_NEAR).sum() == 4
    areas = tumor(SHAPE).sum(axis=(0, 1))
    large = build_catalog(patients, masks=MaskRule(tumor_area=areas.max() - 1)).table
    assert set(large.loc[large["label"] == "tumor", "tumor_area"]) == {areas.max()}


def test_an_image_without_a_mask_among_patients_is_named(patients):
    write_nifti(patients / "P3" / "t1c.nii.gz", head(SHAPE, seed=3), (1, 1, 4))
    catalog = build_catalog(patients)
    third = catalog.table["patient"] == "P3"
    assert set(catalog.table.loc[third, "problem"]) == {NO_MASK}
    assert not (catalog.usable().table["patient"] == "P3").any()


def test_a_mask_of_another_size_leaves_its_image_out_with_the_reason(patients):
    mask = tumor((48, 56, 30)).astype(np.uint8)
    write_nifti(patients / "P2" / "t1c_mask.nii.gz", mask, (1, 1, 4))
    table = build_catalog(patients).table
    (sentence,) = set(table.loc[table["patient"] == "P2", "problem"])
    assert "t1c_mask.nii.gz' has 30 slices, and its image 24; mend or remove it." in sentence


def test_a_label_volume_among_images_is_named(patients):
    write_nifti(patients / "P1" / "brain_mask.nii.gz", (head(SHAPE) > 200).astype(np.uint8))
    table = build_catalog(patients).table
    (problem,) = table.loc[table["path"] == "P1/brain_mask.nii.gz", "problem"]
    assert "holds labels, not gray levels" in problem


def test_slices_of_a_volume_share_one_box_and_have_rising_levels(patients):
    table = build_catalog(patients).table
    for _, volume in table.groupby("volume"):
        assert len(volume[PLACED].drop_duplicates()) == 1
        by_index = volume.sort_values("index")
        np.testing.assert_allclose(by_index["level"], np.linspace(0, 1, len(volume)))
        np.testing.assert_allclose(np.diff(by_index["position"]), 4)
        assert (volume["region"] != "").all()
        assert by_index["region"].iat[-1] == "vertex"
    catalog = build_catalog(patients)
    box = catalog.head(0)
    assert (box.top, box.left, box.bottom, box.right) == tuple(catalog.table.loc[0, PLACED])


def dicom_set(tmp_path, *folders):
    """A table of DICOM folders, each of a class of its own."""
    lines = [f"{folder},{label}" for folder, label in folders]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(lines) + "\n")
    return tmp_path / "list.csv"


@pytest.mark.parametrize("seed", [0, 1])
def test_levels_rise_with_the_position_whatever_the_files_are_called(tmp_path, seed):
    order = np.random.default_rng(seed).permutation(20)
    for number, name in enumerate(("P1", "P2")):
        slices = series(head((48, 56, 20), seed=number), 5, PatientID=name)
        write(tmp_path / name, [slices[row] for row in order])
    table = build_catalog(dicom_set(tmp_path, ("P1", "yes"), ("P2", "no"))).table
    table = table[table["problem"] == ""]
    assert table["volume"].nunique() == 2
    for _, volume in table.groupby("volume"):
        by_position = volume.sort_values("position")
        assert by_position["level"].is_monotonic_increasing
        assert by_position["level"].iloc[[0, -1]].tolist() == [0, 1]
        assert by_position["instance"].is_monotonic_increasing
        assert len(volume[PLACED].drop_duplicates()) == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_of_time_points_the_first_is_kept_whatever_the_files_are_called(tmp_path, seed):
    first = series(head((48, 56, 20)), 5)
    uid = first[0].SeriesInstanceUID
    second = series(head((48, 56, 20), seed=1), 5, SeriesInstanceUID=uid)
    for number, dataset in enumerate(second):
        dataset.InstanceNumber = 21 + number
    everything = first + second
    order = np.random.default_rng(seed).permutation(40)
    write(tmp_path / "P1", [everything[row] for row in order])
    write(tmp_path / "P2", series(head((48, 56, 20), seed=2), 5, PatientID="P2"))
    table = build_catalog(dicom_set(tmp_path, ("P1", "yes"), ("P2", "no"))).table
    repeated = table[table["problem"] == REPEATED]
    kept = table[(table["problem"] == "") & (table["patient"] == "P1")]
    assert repeated["instance"].min() > 20
    assert kept["instance"].max() <= 20
    assert len(repeated) == len(kept) > 15


def test_the_planes_of_a_localizer_are_volumes_of_their_own(tmp_path):
    volume = head((40, 40, 40))
    uid = {"SeriesInstanceUID": "1.2.3.9"}
    axial = [dicom(3 * volume[::-1, ::-1, at].T, AXIAL, (0, 0, at), **uid) for at in (12, 20, 28)]
    coronal = [
        dicom(3 * volume[::-1, at, ::-1].T, (1, 0, 0, 0, 0, -1), (0, -at, 0), **uid)
        for at in (12, 20, 28)
    ]
    write(tmp_path / "P1", [*axial, *coronal])
    write(tmp_path / "P2", series(volume[:, :, 15:25], 1, PatientID="P2"))
    table = build_catalog(dicom_set(tmp_path, ("P1", "yes"), ("P2", "no"))).table
    planes = table[table["patient"] == "P1"].groupby("volume")["plane"].unique()
    assert {name: list(found) for name, found in planes.items()} == {
        "1.2.3.9, axial, 40 x 40": ["axial"],
        "1.2.3.9, coronal, 40 x 40": ["coronal"],
    }
    assert (table["problem"] == "").all()


def test_what_the_header_settles_is_left_out_with_the_reason(tmp_path):
    pixels = 3 * head((48, 56, 20))[::-1, ::-1, 10].T
    kinds = {
        "ct.dcm": ({"Modality": "CT"}, "a CT image, not MR"),
        "us.dcm": ({"Modality": "US"}, "an ultrasound image, not MR"),
        "nm.dcm": ({"Modality": "NM"}, "a nuclear medicine image, not MR"),
        "abdomen.dcm": ({"BodyPartExamined": "ABDOMEN"}, "of another body part (ABDOMEN)"),
        "scout.dcm": ({"ImageType": ["ORIGINAL", "PRIMARY", "SCOUT"]}, "a localizer"),
        "mosaic.dcm": (
            {"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]},
            "a mosaic of slices tiled into one image",
        ),
        "phase.dcm": ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "a phase image"),
        "adc.dcm": ({"ImageType": ["DERIVED", "PRIMARY", "ADC"]}, "a diffusion map (ADC)"),
        "unknown.dcm": ({"Modality": None}, ""),
        "mr.dcm": ({}, ""),
    }
    for number, (name, (elements, _)) in enumerate(kinds.items()):
        write(
            tmp_path / "yes", [dicom(pixels, SeriesInstanceUID=f"1.{number}", **elements)], [name]
        )
    write(tmp_path / "no", series(head((48, 56, 20), seed=1), PatientID="P2"))
    outline = np.zeros((20, 56, 48), bool)
    outline[9:12, 20:30, 20:30] = True
    seg = segmentation(series(head((48, 56, 20), seed=1)), outline)
    write(tmp_path / "yes", [seg], ["drawn.dcm"])
    catalog = build_catalog(tmp_path)
    by_name = dict(zip(catalog.table["path"], catalog.table["problem"], strict=True))
    assert {name: by_name[f"yes/{name}"] for name in kinds} == {
        name: words for name, (_, words) in kinds.items()
    }
    assert "a segmentation, not an image" in by_name["yes/drawn.dcm"]


def test_a_patient_a_folder_with_dicom_images_and_a_segmentation(tmp_path):
    outlines = np.stack([tumor((48, 56, 20))[::-1, ::-1, number].T for number in range(20)])
    for number, patient in enumerate(("A", "B")):
        images = series(head((48, 56, 20), seed=number), 5, PatientID="same in the header")
        order = np.random.default_rng(number).permutation(20)
        write(tmp_path / patient / "t1c", [images[row] for row in order])
        write(tmp_path / patient / "drawn", [segmentation(images, outlines)])
    catalog = build_catalog(tmp_path)
    table = catalog.table[catalog.table["problem"].isin(["", TOO_LITTLE])]
    areas = outlines.sum(axis=(1, 2))
    assert table["tumor_area"].tolist() == areas[table["instance"] - 1].tolist()
    assert (table["label"] == "tumor").tolist() == (table["tumor_area"] >= 20).tolist()
    # The tags and the folder both count: one says that these are one patient.
    assert set(table["patient"]) == {"same in the header"}
    assert set(table["case"]) == {"A", "B"}
    assert table["group"].nunique() == 1
    assert len(table) > 30
    assert set(catalog.table["problem"].str[:5]) <= {"", "blank", TOO_LITTLE[:5]}


def test_class_folders_of_volumes_with_masks_beside_those_with_a_tumor(tmp_path):
    write_nifti(tmp_path / "yes/1.nii", head(SHAPE, seed=1), (1, 1, 4))
    write_nifti(tmp_path / "yes/1_mask.nii", tumor(SHAPE).astype(np.uint8), (1, 1, 4))
    write_nifti(tmp_path / "yes/2.nii", head(SHAPE, seed=2), (1, 1, 4))
    write_nifti(tmp_path / "no/3.nii", head(SHAPE, seed=3), (1, 1, 4))
    table = build_catalog(tmp_path).table
    labels = {path: set(part["label"]) for path, part in table.groupby("path")}
    assert labels == {"yes/1.nii": {"yes", "no"}, "yes/2.nii": {"yes"}, "no/3.nii": {"no"}}
    weak = {path: set(part["weak_label"]) for path, part in table.groupby("path")}
    assert weak == {"yes/1.nii": {False}, "yes/2.nii": {True}, "no/3.nii": {False}}


def test_a_catalog_of_volumes_survives_its_parquet_file(patients, tmp_path):
    catalog = build_catalog(patients)
    catalog.save(tmp_path / "catalog.parquet")
    again = Catalog.load(tmp_path / "catalog.parquet").table
    columns = ["volume", "level", "plane", "position", "region", "tumor_area", "mask", *PLACED]
    pd.testing.assert_frame_equal(again[columns], catalog.table[columns])


def test_a_series_without_patient_and_study_is_one_group(tmp_path):
    nobody = {"PatientID": "", "StudyInstanceUID": ""}
    for number, label in enumerate(("yes", "no")):
        write(tmp_path / label, series(head((48, 56, 20), seed=number), 5, **nobody))
    table = build_catalog(tmp_path).table
    assert set(table["patient"]) == {""}
    groups = group_rows(table.assign(duplicates=np.arange(len(table))))
    assert groups.tolist() == [0] * 20 + [1] * 20


def test_a_series_is_known_again_in_another_dataset_and_a_path_is_not(tmp_path):
    nobody = {"PatientID": "", "StudyInstanceUID": ""}
    first, second = (series(head((48, 56, 20), seed=n), 5, **nobody) for n in (0, 1))
    for folder, images in (("a", first[:10]), ("b", first[10:] + second[10:])):
        write(tmp_path / folder / "yes", images)
    for number, folder in enumerate(("a", "b")):
        write_nifti(tmp_path / folder / "no" / "1.nii", head(SHAPE, seed=5 + number), (1, 1, 4))
    known, other = (build_catalog(tmp_path / name).usable().table for name in ("a", "b"))
    # With a problem, rows are not compared by their looks, and these heads look alike.
    known, other = known.assign(problem="left out"), other.assign(problem="left out")
    leaked = shares_group_with(known, other)
    assert set(other.loc[leaked, "series"]) == {first[0].SeriesInstanceUID}
    assert set(other.loc[~leaked, "series"]) == {second[0].SeriesInstanceUID, ""}


def test_the_patient_is_that_of_the_tags_before_that_of_the_folder(tmp_path):
    for number, visit in enumerate(("first", "second")):
        folder = tmp_path / "yes" / visit
        write(folder, series(head((48, 56, 20), seed=number), 5, PatientID="A"))
    for number, kind in enumerate(("t1", "t2")):
        write_nifti(tmp_path / f"no/p0/{kind}.nii.gz", head(SHAPE, seed=5 + number), (1, 1, 4))
    table = build_catalog(tmp_path).table
    patients = {label: set(part["patient"]) for label, part in table.groupby("label")}
    assert patients == {"yes": {"A"}, "no": {"p0"}}
    groups = group_rows(table.assign(duplicates=np.arange(len(table))))
    assert (table.assign(group=groups).groupby("label")["group"].nunique() == 1).all()
    assert len(np.unique(groups)) == 2


def test_the_files_of_a_folder_in_a_table_are_one_patient(tmp_path):
    for number, kind in enumerate(("t1", "t2")):
        write_nifti(tmp_path / f"P1/{kind}.nii.gz", head(SHAPE, seed=number), (1, 1, 4))
    write_nifti(tmp_path / "P2/t1.nii.gz", head(SHAPE, seed=5), (1, 1, 4))
    table = build_catalog(dicom_set(tmp_path, ("P1", "yes"), ("P2", "no"))).table
    assert table.groupby("label")["patient"].unique().map(list).to_dict() == {
        "yes": ["P1"], "no": ["P2"],
    }  # fmt: skip
    groups = group_rows(table.assign(duplicates=np.arange(len(table))))
    assert len(np.unique(groups)) == 2


def test_a_series_in_a_folder_of_a_class_has_weak_labels_and_one_sorted_by_hand_has_not(tmp_path):
    whole, sorted_by_hand = (series(head((48, 56, 20), seed=n), 5) for n in (0, 1))
    write(tmp_path / "yes" / "p", whole)
    names = [f"{number}.dcm" for number in range(20)]
    write(tmp_path / "yes", sorted_by_hand[8:12], names[8:12])
    write(tmp_path / "no", sorted_by_hand[:8] + sorted_by_hand[12:], names[:8] + names[12:])
    single = dicom(3 * head((48, 56, 20), seed=2)[::-1, ::-1, 10].T, SeriesInstanceUID="1.9")
    write(tmp_path / "yes", [single], ["single.dcm"])
    table = build_catalog(tmp_path).usable().table
    weak = set(table.loc[table["weak_label"], "series"])
    assert weak == {whole[0].SeriesInstanceUID}
    assert table.loc[table["series"] == whole[0].SeriesInstanceUID, "weak_label"].all()
    of_hand = table[table["series"] == sorted_by_hand[0].SeriesInstanceUID]
    assert set(of_hand["volume"]) == {sorted_by_hand[0].SeriesInstanceUID}
    assert set(of_hand["label"]) == {"yes", "no"}
