"""The layouts of folders and tables that people have, with masks and without."""

import logging
from dataclasses import dataclass

import numpy as np
import pytest

from falx.data.sources import Entry, entries_of
from falx.errors import BadInput, UnusableData
from small_scans import dicom, head, segmentation, series, write


@dataclass
class Layout:
    """A folder of empty files."""

    folder: object

    def add(self, *names):
        for name in names:
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return self

    def entries(self, data=None):
        """Path, label, split, patient, mask and negative label of each file, with relative paths."""
        root, entries = entries_of(data or self.folder)
        assert root == self.folder
        return sorted(tuple(self._plain(entry)) for entry in entries)

    def _plain(self, entry: Entry):
        yield entry.file.relative_to(self.folder).as_posix()
        yield from (entry.label, entry.split, entry.patient or entry.case or entry.folder)
        yield " ".join(mask.relative_to(self.folder).as_posix() for mask in entry.masks)
        yield entry.negative


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "data")


def test_a_folder_a_patient_with_masks_beside_the_images(layout):
    layout.add(*(f"{p}/{n}.nii.gz" for p in ("P1", "P2") for n in ("t1c", "t1c_seg")))
    assert layout.entries() == [
        ("P1/t1c.nii.gz", "tumor", "", "P1", "P1/t1c_seg.nii.gz", "no_tumor"),
        ("P2/t1c.nii.gz", "tumor", "", "P2", "P2/t1c_seg.nii.gz", "no_tumor"),
    ]


def test_an_image_without_a_mask_among_patients_has_no_label(layout):
    layout.add("P1/t1c.nii", "P1/t1c_mask.nii", "P2/t1c.nii")
    assert layout.entries()[1] == ("P2/t1c.nii", "", "", "P2", "", "")


def test_folders_of_dates_below_a_patient_are_that_patient(layout):
    layout.add("P1/2020/t1.nii", "P1/2020/t1_mask.nii", "P1/2021/t1.nii", "P1/2021/t1_mask.nii")
    assert {entry[3] for entry in layout.entries()} == {"P1"}


def test_parallel_folders_of_images_and_masks(layout):
    layout.add("images/a.png", "images/b.png", "masks/a.png", "masks/b_mask.png")
    assert layout.entries() == [
        ("images/a.png", "tumor", "", "a", "masks/a.png", "no_tumor"),
        ("images/b.png", "tumor", "", "b_mask", "masks/b_mask.png", "no_tumor"),
    ]


def test_the_channels_of_one_case_are_one_patient(layout):
    layout.add("imagesTr/B_001_0000.nii.gz", "imagesTr/B_001_0001.nii.gz", "labelsTr/B_001.nii.gz")
    assert layout.entries() == [
        (f"imagesTr/B_001_000{n}.nii.gz", "tumor", "", "B_001", "labelsTr/B_001.nii.gz", "no_tumor")
        for n in (0, 1)
    ]


def test_parts_above_patients_are_kept(layout):
    names = [f"{part}/P1/t1{kind}.nii" for part in ("train", "test") for kind in ("", "_seg")]
    layout.add(*names)
    assert [entry[2:4] for entry in layout.entries()] == [("test", "P1"), ("train", "P1")]


def test_class_folders_with_masks_beside_the_images_of_one(layout):
    layout.add("yes/1.png", "yes/1_mask.png", "yes/2.png", "no/3.png")
    assert layout.entries() == [
        ("no/3.png", "no", "", "", "", ""),
        ("yes/1.png", "yes", "", "", "yes/1_mask.png", "no"),
        ("yes/2.png", "yes", "", "", "", ""),
    ]


def test_masks_of_the_class_without_a_tumor_are_not_needed(layout):
    layout.add("yes/1.png", "masks/yes/1.png", "no/3.png", "masks/no/3.png")
    assert layout.entries() == [
        ("no/3.png", "no", "", "", "", ""),
        ("yes/1.png", "yes", "", "", "masks/yes/1.png", "no"),
    ]


def test_class_folders_below_parts_keep_their_classes_with_masks_too(layout):
    layout.add("train/yes/1.png", "train/yes/1_mask.png", "train/no/3.png", "test/yes/4.png")
    assert layout.entries() == [
        ("test/yes/4.png", "yes", "test", "", "", ""),
        ("train/no/3.png", "no", "train", "", "", ""),
        ("train/yes/1.png", "yes", "train", "", "train/yes/1_mask.png", "no"),
    ]


def test_kinds_of_tumors_with_masks_keep_their_names(layout):
    layout.add("glioma/1.nii", "glioma/1_seg.nii", "pituitary/2.nii", "notumor/3.nii")
    assert layout.entries() == [
        ("glioma/1.nii", "glioma", "", "", "glioma/1_seg.nii", "notumor"),
        ("notumor/3.nii", "notumor", "", "", "", ""),
        ("pituitary/2.nii", "pituitary", "", "", "", ""),
    ]


def test_masks_of_no_image_are_said_and_left_out(layout, caplog):
    layout.add("P1/t1.nii", "P1/t1_seg.nii", "P1/mask.nii", "P2/flair_tumor_seg.nii")
    with caplog.at_level(logging.WARNING, "falx"):
        assert [entry[0] for entry in layout.entries()] == ["P1/t1.nii"]
    assert "2 masks below" in caplog.text
    assert "belong to no image, or to one that has another mask" in caplog.text


def test_where_every_mask_has_its_image_nothing_is_said(layout, caplog):
    layout.add("P1/t1.nii", "P1/t1_seg.nii").entries()
    assert not caplog.text


def test_dicom_folders_a_patient_with_segmentations_of_their_own(layout):
    outline = np.zeros((3, 24, 20), bool)
    outline[1, 5:9, 5:9] = True
    for patient in ("P1", "P2"):
        for date in ("before", "after"):
            images = series(head((20, 24, 3)), PatientID=patient)
            write(layout.folder / patient / date / "t1c", images)
            write(layout.folder / patient / date / "SEG", [segmentation(images, outline)])
        write(layout.folder / patient / "localizer", series(head((20, 24, 3))))
    found = layout.entries()
    assert len(found) == 18
    for path, label, _, patient, mask, negative in found:
        assert path.startswith(patient)
        if "localizer" in path:
            assert (label, mask, negative) == ("", "", "")
        else:
            assert (label, negative) == ("tumor", "no_tumor")
            assert mask == f"{path.split('/t1c')[0]}/SEG/000.dcm"


def write_table(layout, text):
    layout.add()
    layout.folder.mkdir(exist_ok=True)
    file = layout.folder / "list.csv"
    file.write_text(text)
    return file


def test_a_table_names_masks_relative_to_itself(layout):
    table = write_table(
        layout, "path,mask,patient\na/1.nii,outlines/1.nii,P1\na/2.nii,outlines/2.nii,P2\n"
    )
    assert layout.entries(table) == [
        ("a/1.nii", "tumor", "", "P1", "outlines/1.nii", "no_tumor"),
        ("a/2.nii", "tumor", "", "P2", "outlines/2.nii", "no_tumor"),
    ]


def test_a_table_may_give_a_mask_or_a_label_or_both(layout):
    rows = "1.nii,yes,1m.nii\n2.nii,no,\n3.nii,,3m.nii\n4.nii,yes,\n"
    table = write_table(layout, f"path,label,mask\n{rows}")
    assert layout.entries(table) == [
        ("1.nii", "yes", "", "", "1m.nii", "no"),
        ("2.nii", "no", "", "", "", ""),
        ("3.nii", "tumor", "", "", "3m.nii", "no"),
        ("4.nii", "yes", "", "", "", ""),
    ]


def test_a_row_with_neither_label_nor_mask_is_refused(layout):
    table = write_table(layout, "path,label,mask\n1.nii,,\n2.nii,no,\n")
    with pytest.raises(BadInput, match="has a row without a path or a label; complete it"):
        entries_of(table)


def test_a_table_without_label_and_mask_is_refused(layout):
    with pytest.raises(
        BadInput, match=r"lacks the column 'label'; it needs path and label or mask"
    ):
        entries_of(write_table(layout, "path,kind\n1.nii,yes\n"))


def test_a_folder_in_a_table_stands_for_its_files_and_groups_them(layout):
    write(layout.folder / "P1", [dicom(np.full((4, 4), 9, np.uint16)) for _ in range(3)])
    layout.add("P2.nii")
    table = write_table(layout, "path,label\nP1,yes\nP2.nii,no\n")
    root, entries = entries_of(table)
    assert root == layout.folder
    assert [(entry.file.name, entry.label, entry.folder) for entry in entries] == [
        ("000.dcm", "yes", "P1"), ("001.dcm", "yes", "P1"), ("002.dcm", "yes", "P1"),
        ("P2.nii", "no", ""),
    ]  # fmt: skip


def test_an_empty_folder_in_a_table_is_kept_to_be_named(layout):
    layout.add("2.nii")
    (layout.folder / "P1").mkdir()
    table = write_table(layout, "path,label\nP1,yes\n2.nii,no\n")
    assert [entry[0] for entry in layout.entries(table)] == ["2.nii", "P1"]


def test_a_single_class_is_refused_and_a_single_patient_with_a_mask_is_not(layout):
    with pytest.raises(UnusableData, match="only the class 'yes'"):
        entries_of(layout.add("yes/1.png").folder)
    assert len(layout.add("yes/1_mask.png").entries()) == 1


def patients(layout):
    return {entry[0]: entry[3] for entry in layout.entries()}


def test_grades_and_visits_above_patients_are_not_patients(layout):
    layout.add(*(f"{grade}/BraTS_{n}/t1{kind}.nii" for grade, n in (("HGG", 1), ("HGG", 2),
               ("LGG", 3)) for kind in ("", "_seg")))  # fmt: skip
    assert set(patients(layout).values()) == {"BraTS_1", "BraTS_2", "BraTS_3"}


def test_a_patient_seen_twice_is_one(layout):
    layout.add(*(f"{visit}/P{n}/t1{kind}.nii" for visit in ("baseline", "followup")
                 for n in (1, 2) for kind in ("", "_seg")))  # fmt: skip
    assert patients(layout)["baseline/P1/t1.nii"] == patients(layout)["followup/P1/t1.nii"] == "P1"


@pytest.mark.parametrize("inner", ["2020-01-02", "20200102", "ses-1", "t1", "visit 2", "drawn"])
def test_folders_of_a_patient_without_a_number_are_no_patients(layout, inner):
    layout.add(f"anna/{inner}/x.nii", f"anna/{inner}/x_seg.nii", f"bert/{inner}/x.nii")
    assert set(patients(layout).values()) == {"anna", "bert"}


def test_in_folders_of_classes_a_folder_of_volumes_is_a_patient_and_one_of_pictures_is_not(layout):
    layout.add("yes/p0/t1.nii.gz", "yes/p0/2020/t2.nii.gz", "yes/1.nii", "no/batch1/1.jpg")
    write(layout.folder / "no" / "p1", [dicom(np.full((4, 4), 9, np.uint16))])
    assert patients(layout) == {
        "yes/p0/t1.nii.gz": "p0", "yes/p0/2020/t2.nii.gz": "p0", "yes/1.nii": "",
        "no/batch1/1.jpg": "", "no/p1/000.dcm": "p1",
    }  # fmt: skip


def test_kinds_of_tumors_with_masks_are_classes_without_no_tumor_too(layout):
    kinds = ("glioma", "meningioma", "pituitary")
    layout.add(*(f"{k}/{n}{m}.png" for k in kinds for n in (1, 2) for m in ("", "_mask")))
    assert layout.entries() == [
        (f"{k}/{n}.png", k, "", "", f"{k}/{n}_mask.png", "") for k in kinds for n in (1, 2)
    ]


def test_kinds_of_tumors_may_hold_a_folder_a_patient(layout):
    layout.add(*(f"{k}/P{n}/t1{m}.nii" for k in ("glioma", "Metastasis") for n in (1, 2)
                 for m in ("", "_seg")))  # fmt: skip
    assert [entry[1:4] for entry in layout.entries()] == [
        ("Metastasis", "", "P1"), ("Metastasis", "", "P2"), ("glioma", "", "P1"),
        ("glioma", "", "P2"),
    ]  # fmt: skip


def test_folders_that_may_be_kinds_or_patients_are_refused(layout):
    layout.add(*(f"{k}/{n}{m}.png" for k in ("foo", "bar") for n in (1, 2) for m in ("", "_mask")))
    with pytest.raises(
        BadInput, match=r"masks in bar/ and foo/, which may be kinds of tumors or patients; name"
    ):
        layout.entries()


def test_among_classes_the_name_of_a_mask_makes_none_without_its_image(layout):
    layout.add("yes/yes_label_0.png", "yes/yes_label_1.png", "no/no_label_0.png")
    assert [entry[:2] for entry in layout.entries()] == [
        ("no/no_label_0.png", "no"), ("yes/yes_label_0.png", "yes"),
        ("yes/yes_label_1.png", "yes"),
    ]  # fmt: skip


def test_all_masks_of_an_image_are_named(layout):
    layout.add("P1/t1.nii", "P1/t1_mask_1.nii", "P1/t1_mask_2.nii")
    assert [entry[4] for entry in layout.entries()] == ["P1/t1_mask_1.nii P1/t1_mask_2.nii"]


def test_in_bids_the_subject_is_the_patient_wherever_its_folder_lies(layout):
    layout.add("raw/sub-01/ses-01/anat/t1.nii", "raw/sub-01/ses-01/anat/t1_mask.nii")
    layout.add("raw/sub-02/ses-01/anat/t1.nii", "raw/sub-02/ses-01/anat/t1_mask.nii")
    assert [entry[3] for entry in layout.entries()] == ["sub-01", "sub-02"]


@pytest.mark.parametrize("again", ["./a.png", "yes/../a.png", "{folder}/a.png"])
def test_a_file_that_a_table_names_twice_in_other_words_is_refused(layout, again):
    layout.add("a.png", "yes/b.png")
    again = again.format(folder=layout.folder)
    (layout.folder / "t.csv").write_text(f"path,label\na.png,yes\n{again},no\n")
    with pytest.raises(BadInput, match="twice; keep one of its rows"):
        layout.entries(layout.folder / "t.csv")
