"""Masks are found by their names and places, and by nothing else."""

from pathlib import Path

import numpy as np
import pytest

from falx.data.mask_pairs import masks_in, pair_masks, pair_segmentations, segmentations_in, stem
from small_scans import head, segmentation, series, write

ROOT = Path("data")


def paired(*names):
    """Pairs by name, with the one mask of an image or all of several, and the masks."""
    pairs, masks = pair_masks(ROOT, [ROOT / name for name in names])
    return (
        {image.relative_to(ROOT).as_posix(): " ".join(
            mask.relative_to(ROOT).as_posix() for mask in of_image
         ) for image, of_image in pairs.items()},
        {mask.relative_to(ROOT).as_posix() for mask in masks},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("p1/t1.nii.gz", "p1/t1_seg.nii.gz"),
        ("p1/t1.nii.gz", "p1/t1_mask.nii"),
        ("p1/t1.nii.gz", "p1/t1-Mask.nii.gz"),
        ("p1/t1.nii.gz", "p1/t1.seg.nii.gz"),
        ("p1/t1.nii.gz", "p1/mask.nii.gz"),
        ("p1/bet_fla.nii.gz", "p1/seg_fusion_simple.nii.gz"),
        ("yes/12.png", "yes/12_mask.png"),
        ("yes/12.jpg", "yes/12_mask.png"),
        ("yes/12.png", "yes/mask_12.png"),
        ("yes/image_12.png", "yes/mask_12.png"),
        ("yes/12_image.png", "yes/12_mask.png"),
        ("yes/benign (1).png", "yes/benign (1)_mask.png"),
        ("images/12.png", "masks/12.png"),
        ("images/12.png", "masks/12_mask.png"),
        ("images/image_12.png", "masks/mask_12.png"),
        ("images/a/12.png", "masks/a/12.png"),
        ("p1/images/t1.nii", "p1/masks/t1.nii"),
        ("yes/12.png", "masks/yes/12.png"),
        ("imagesTr/BRATS_001_0000.nii.gz", "labelsTr/BRATS_001.nii.gz"),
        ("imagesTr/BRATS_001.nii.gz", "labelsTr/BRATS_001.nii.gz"),
    ],
)
def test_a_mask_is_of_the_image_of_its_name(image, mask):
    pairs, masks = paired(image, mask)
    assert (pairs, masks) == ({image: mask}, {mask})


def test_a_mask_of_another_name_is_of_no_image():
    assert paired("p1/t1.nii", "p1/t1_tumor_mask.nii") == ({}, {"p1/t1_tumor_mask.nii"})
    assert paired("yes/1.png", "yes/mask_2.png") == ({}, {"yes/mask_2.png"})


def test_one_mask_of_brats_is_of_all_contrasts():
    folder = "BraTS20_001"
    images = [f"{folder}/{folder}_{kind}.nii.gz" for kind in ("flair", "t1", "t1ce", "t2")]
    mask = f"{folder}/{folder}_seg.nii.gz"
    assert paired(*images, mask) == (dict.fromkeys(images, mask), {mask})


def test_channels_of_a_case_share_its_mask():
    images = [f"imagesTr/BRATS_00{case}_000{n}.nii.gz" for case in (1, 2) for n in range(4)]
    pairs, _ = paired(*images, "labelsTr/BRATS_001.nii.gz", "labelsTr/BRATS_002.nii.gz")
    assert pairs == {image: f"labelsTr/{Path(image).name[:9]}.nii.gz" for image in images}


def test_numbers_are_matched_as_a_whole():
    names = ["1.png", "10.png", "11.png", "1_mask.png", "11_mask.png"]
    pairs, _ = paired(*(f"yes/{name}" for name in names))
    assert pairs == {"yes/1.png": "yes/1_mask.png", "yes/11.png": "yes/11_mask.png"}


def test_words_before_a_number_do_not_mix_up_the_masks_of_a_folder():
    names = [f"yes/{kind}_{n}.png" for kind in ("image", "mask") for n in (1, 2, 13)]
    pairs, _ = paired(*names)
    assert pairs == {f"yes/image_{n}.png": f"yes/mask_{n}.png" for n in (1, 2, 13)}


def test_the_longest_common_name_decides():
    pairs, _ = paired(
        "p1/post_t1c.nii", "p1/pre_t1c.nii", "p1/post_t1c_mask.nii", "p1/pre_t1c_mask.nii",
        "p1/other.nii", "p1/mask.nii",
    )  # fmt: skip
    assert pairs == {
        "p1/post_t1c.nii": "p1/post_t1c_mask.nii",
        "p1/pre_t1c.nii": "p1/pre_t1c_mask.nii",
        "p1/other.nii": "p1/mask.nii",
    }


@pytest.mark.parametrize(
    ("image", "masks"),
    [
        ("p1/t1.nii", "p1/t1_mask_1.nii p1/t1_mask_2.nii"),
        ("p1/t1.nii", "p1/t1_mask.nii p1/t1_seg.nii"),
        ("images/7.png", "masks/7_mask_1.png masks/7_mask_2.png"),
        ("images/7.png", "labels/7.png masks/7.png"),
    ],
)
def test_masks_that_are_named_alike_are_all_of_their_image(image, masks):
    assert paired(image, *masks.split()) == ({image: masks}, set(masks.split()))


def test_masks_of_one_patient_are_of_no_other():
    pairs, _ = paired("p1/t1.nii", "p2/t1.nii", "p1/t1_mask.nii")
    assert pairs == {"p1/t1.nii": "p1/t1_mask.nii"}


@pytest.mark.parametrize(
    "name",
    ["t1_brain_mask.nii", "t1_brainmask.nii", "t1_head_mask.nii", "t1_bet_mask.nii",
     "skull-mask.nii", "unmasked.nii", "masked_t1.nii", "segovia.nii"],
)  # fmt: skip
def test_a_mask_of_the_brain_and_other_words_are_no_mask_of_a_tumor(name):
    assert paired("p1/t1.nii", f"p1/{name}") == ({}, set())


def test_a_folder_above_the_dataset_says_nothing():
    root = Path("labels/masks")
    assert pair_masks(root, [root / "yes" / "1.png"]) == ({}, set())


def test_masks_in_a_folder_of_their_own_lie_where_their_images_do(tmp_path):
    data, masks = tmp_path / "data", tmp_path / "outlines"
    for file in ("yes/1.png", "yes/2.png", "no/3.png"):
        (data / file).parent.mkdir(parents=True, exist_ok=True)
        (data / file).touch()
    for file in ("yes/1.png", "yes/2_mask.nii.gz"):
        (masks / file).parent.mkdir(parents=True, exist_ok=True)
        (masks / file).touch()
    images = [*sorted(data.rglob("*.png")), Path("elsewhere.png")]
    assert masks_in(masks, data, images) == {
        data / "yes/1.png": (masks / "yes/1.png",),
        data / "yes/2.png": (masks / "yes/2_mask.nii.gz",),
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.nii.gz", "a"), ("a.b.nii.gz", "a.b"), ("a.nii", "a"), ("IM0001", "IM0001"), ("x.gz", "x")],
)
def test_the_stem_is_the_name_without_its_suffixes(name, expected):
    assert stem(Path("folder.d") / name) == expected


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A patient with two series that have a segmentation each and one without, in one folder."""
    folder = tmp_path_factory.mktemp("data") / "P1"
    outline = np.zeros((4, 24, 20), bool)
    outline[1:3, 5:9, 5:9] = True
    for name in ("before", "after"):
        images = series(head((20, 24, 4)))
        write(folder / name, images)
        write(folder / "results", [segmentation(images, outline)], [f"{name}.dcm"])
    write(folder / "other", series(head((20, 24, 4))))
    (folder / "results" / "notes.txt").write_text("no DICOM")
    return folder


def test_a_segmentation_is_of_the_series_that_it_names(studies):
    files = sorted(file for file in studies.rglob("*") if file.is_file())
    pairs, masks = pair_segmentations(files)
    results = studies / "results"
    assert masks == {results / "before.dcm", results / "after.dcm"}
    assert pairs == {
        file: (results / f"{name}.dcm",)
        for name in ("before", "after")
        for file in sorted((studies / name).iterdir())
    }


def test_several_segmentations_of_one_series_are_all_of_it(tmp_path):
    images = series(head((20, 24, 4)))
    outline = np.ones((4, 24, 20), bool)
    write(tmp_path / "t1", images)
    for name in ("a", "b"):
        write(tmp_path, [segmentation(images, outline)], [f"{name}.dcm"])
    pairs, _ = pair_segmentations([file for file in tmp_path.rglob("*") if file.is_file()])
    assert set(pairs.values()) == {(tmp_path / "a.dcm", tmp_path / "b.dcm")}
    assert len(pairs) == 4


def test_segmentations_are_told_from_images_by_their_header(studies):
    found = [file.name for file in segmentations_in(studies)]
    assert found == ["after.dcm", "before.dcm"]


def test_without_a_segmentation_there_are_no_pairs(studies):
    assert pair_segmentations(sorted((studies / "other").iterdir())) == ({}, set())
    assert pair_segmentations([]) == ({}, set())
