"""Masks label slices, and what is neither with nor without a tumor is left out with the reason."""

import cv2
import numpy as np
import pandas as pd
import pytest

from falx.data.mask_labels import (
    CONTRADICTED,
    NO_CLASS,
    NO_MASK,
    TOO_LITTLE,
    TOO_NEAR,
    label_by_masks,
)
from falx.data.mask_rule import MaskRule
from falx.errors import BadInput
from small_scans import head, segmentation, series, write, write_nifti

AREAS = (0, 0, 9, 25, 100, 0, 0, 0)
"""Pixels of tumor in each slice of a volume of 20 x 24 pixels."""


def outlines(areas=AREAS):
    """Squares of so many pixels, with axes to the right, anterior and superior."""
    mask = np.zeros((20, 24, len(areas)), np.uint8)
    for number, area in enumerate(areas):
        side = round(area**0.5)
        mask[5 : 5 + side, 8 : 8 + side, number] = 1
    return mask


def facts(n=8, *, spacing=1.0, thickness=5.0, **columns):
    """The slices of one axial volume with a mask."""
    defaults = {
        "path": ["image.nii"] * n, "index": np.arange(n), "uid": [""] * n, "frames": [n] * n,
        "height": [24] * n, "width": [20] * n, "spacing": [spacing] * n, "plane": ["axial"] * n,
        "position": np.arange(n) * thickness, "volume": ["image.nii"] * n, "problem": [""] * n,
        "mask": ["mask.nii"] * n, "label": ["tumor"] * n, "negative": ["no_tumor"] * n,
    }  # fmt: skip
    return pd.DataFrame(defaults | columns)


def labeled(root, table, **rule):
    return label_by_masks(table, root, MaskRule(**rule))


def tumors(table):
    return (table["label"] == "tumor").tolist()


@pytest.fixture
def root(tmp_path):
    write_nifti(tmp_path / "image.nii", head((20, 24, 8)))
    write_nifti(tmp_path / "mask.nii", outlines())
    return tmp_path


def test_a_slice_with_enough_tumor_has_one_and_a_slice_with_too_little_is_neither(root):
    found = labeled(root, facts(), tumor_area=20)
    assert found["tumor_area"].tolist() == list(AREAS)
    assert tumors(found) == [False, False, False, True, True, False, False, False]
    assert found["problem"].tolist() == ["", "", TOO_LITTLE, "", "", "", "", ""]
    assert "negative" not in found.columns


@pytest.mark.parametrize(
    ("least", "with_tumor", "neither"),
    [(0, [2, 3, 4], []), (9, [2, 3, 4], []), (9.5, [3, 4], [2]), (100, [4], [2, 3]),
     (101, [], [2, 3, 4])],
)  # fmt: skip
def test_the_least_area_counts_itself(root, least, with_tumor, neither):
    found = labeled(root, facts(), tumor_area=least)
    assert np.flatnonzero(tumors(found)).tolist() == with_tumor
    assert np.flatnonzero(found["problem"] != "").tolist() == neither


def test_the_area_is_in_square_millimeters_by_the_spacing_of_the_image(root):
    assert labeled(root, facts(spacing=2.0))["tumor_area"].tolist() == [4 * a for a in AREAS]
    # Where the image states none, in pixels.
    assert labeled(root, facts(spacing=np.nan))["tumor_area"].tolist() == list(AREAS)
    assert labeled(root, facts(spacing=0.0))["tumor_area"].tolist() == list(AREAS)


@pytest.mark.parametrize(
    ("margin", "near"), [(0, []), (4.9, []), (5, [1, 5]), (9.9, [1, 5]), (10, [0, 1, 5, 6])]
)
def test_the_margin_is_in_millimeters_along_the_normal_of_the_slices(root, margin, near):
    found = labeled(root, facts(), tumor_area=0, tumor_margin=margin)
    assert np.flatnonzero(found["problem"] == TOO_NEAR).tolist() == near
    assert tumors(found) == [area > 0 for area in AREAS]


def test_the_margin_goes_by_position_and_not_by_the_order_of_rows(root):
    order = [7, 0, 3, 5, 1, 6, 2, 4]
    found = labeled(root, facts().iloc[order].reset_index(drop=True), tumor_margin=5)
    assert sorted(found.loc[found["problem"] == TOO_NEAR, "index"]) == [1, 5]
    assert found.loc[found["problem"] == TOO_LITTLE, "index"].tolist() == [2]


def test_the_margin_does_not_reach_into_another_volume(root):
    volumes = ["a"] * 5 + ["b"] * 3
    found = labeled(root, facts(volume=volumes), tumor_margin=100)
    assert np.flatnonzero(found["problem"] == TOO_NEAR).tolist() == [0, 1]


@pytest.mark.parametrize("name", ["tumor_area", "tumor_margin"])
@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
def test_a_rule_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(BadInput, match=f"^`{name}` must be a number of at least 0, got {value}"):
        MaskRule(**{name: value})


def test_slices_without_a_mask_keep_their_label_and_those_without_any_are_left_out(root):
    table = facts(
        3, mask=["", "mask.nii", ""], label=["glioma", "tumor", ""], frames=[8] * 3, index=[0, 4, 0]
    )
    found = labeled(root, table)
    assert found["label"].tolist() == ["glioma", "tumor", ""]
    assert found["problem"].tolist() == ["", "", NO_MASK]
    assert np.isnan(found["tumor_area"]).tolist() == [True, False, True]


def test_a_mask_of_another_size_is_named_once_and_leaves_its_slices_out(root):
    write_nifti(root / "other.nii", outlines()[:, :12])
    table = pd.concat([facts(), facts(mask=["other.nii"] * 8, volume=["b"] * 8)], ignore_index=True)
    found = labeled(root, table)
    (sentence,) = found["problem"][8:].unique()
    assert "other.nii' has slices of 20 x 12 pixels, and its image of 20 x 24" in sentence
    assert tumors(found)[:8] == [False, False, False, True, True, False, False, False]
    assert np.isnan(found["tumor_area"][8:]).all()


def test_a_mask_with_more_slices_than_its_image_is_named(root):
    found = labeled(root, facts(frames=[4] * 8))
    assert found["problem"].str.contains("has 8 slices, and its image 4; mend or remove it").all()


def test_a_missing_mask_is_named(root):
    found = labeled(root, facts(mask=["gone.nii"] * 8))
    assert found["problem"].str.contains(r"gone\.nii' does not exist").all()


def test_a_slice_that_can_not_be_used_is_not_looked_up(root):
    found = labeled(root, facts(problem=["blank"] + [""] * 7, index=[99, *range(1, 8)]))
    assert found["problem"].iat[0] == "blank"
    assert np.isnan(found["tumor_area"].iat[0])
    assert found["tumor_area"][1:].tolist() == list(AREAS[1:])


def test_images_of_several_planes_cut_one_mask_each_in_its_own(root):
    sagittal = facts(
        20, plane=["sagittal"] * 20, height=[8] * 20, width=[24] * 20, volume=["b"] * 20
    )
    found = labeled(root, pd.concat([facts(), sagittal], ignore_index=True), tumor_area=0)
    across = outlines().sum(axis=(1, 2)).tolist()
    assert found["tumor_area"].tolist() == [*AREAS, *across]


def test_raster_masks_label_their_images(root):
    for number in (3, 5):
        assert cv2.imwrite(str(root / f"{number}_mask.png"), 255 * outlines()[:, :, number].T)
    nothing = {"spacing": np.nan, "position": [np.nan] * 2, "volume": [""] * 2}
    masks = {"index": [0, 0], "frames": [1, 1], "mask": ["3_mask.png", "5_mask.png"]}
    found = labeled(root, facts(2, **nothing, **masks), tumor_margin=50)
    assert found["tumor_area"].tolist() == [25, 0]
    assert found["label"].tolist() == ["tumor", "no_tumor"]
    assert found["problem"].tolist() == ["", ""]


def test_a_segmentation_labels_the_slices_that_it_names_and_leaves_out_others(root):
    images = series(head((20, 24, 8)), 5)
    stored = np.stack([outlines()[::-1, ::-1, number].T for number in range(8)])
    write(root, [segmentation(images[:7], stored[:7])], ["seg.dcm"])
    table = facts(
        uid=[str(image.SOPInstanceUID) for image in images], index=[0] * 8, frames=[1] * 8,
        mask=["seg.dcm"] * 8,
    )  # fmt: skip
    found = labeled(root, table)
    assert found["tumor_area"].tolist()[:7] == list(AREAS[:7])
    assert found["problem"].tolist() == ["", "", TOO_LITTLE, "", "", "", "", NO_MASK]


def test_an_image_of_another_size_leaves_those_that_share_its_mask_alone(root):
    other = facts(path=["other.nii"] * 8, width=[18] * 8, volume=["b"] * 8)
    found = labeled(root, pd.concat([facts(), other], ignore_index=True))
    assert tumors(found)[:8] == [False, False, False, True, True, False, False, False]
    assert found["problem"][8:].str.contains("and its image of 18 x 24; mend or remove it").all()


def test_a_mask_that_lies_elsewhere_than_its_image_is_named(root):
    # The same voxels, counted from above: the first slice of the file is the last of the volume.
    write_nifti(root / "image.nii", head((20, 24, 8)), np.diag([1, 1, -1, 1]))
    found = labeled(root, facts())
    sentence = "mask.nii' lies elsewhere in the patient than its image"
    assert found["problem"].str.contains(sentence, regex=False).all()
    assert found["tumor_area"].isna().all()


def test_all_masks_of_an_image_count(root):
    second = np.zeros((20, 24, 8), np.uint8)
    second[12:17, 8:13, 6] = second[5:10, 8:13, 4] = 1
    write_nifti(root / "second.nii", second)
    found = labeled(root, facts(mask=["mask.nii\nsecond.nii"] * 8))
    # In slice 4, the second lies within the first.
    assert found["tumor_area"].tolist() == [0, 0, 9, 25, 100, 0, 25, 0]


def test_without_a_class_that_has_no_tumor_slices_without_one_are_left_out(root):
    found = labeled(root, facts(label=["glioma"] * 8, negative=[""] * 8))
    assert found["problem"].tolist() == [
        NO_CLASS, NO_CLASS, TOO_LITTLE, "", "", NO_CLASS, NO_CLASS, NO_CLASS,
    ]  # fmt: skip
    assert set(found.loc[found["problem"] == "", "label"]) == {"glioma"}


def test_a_label_that_says_no_tumor_where_the_mask_outlines_one_is_named(root):
    found = labeled(root, facts(label=["no_tumor"] * 8), tumor_area=20)
    assert found["problem"].tolist() == ["", "", TOO_LITTLE, CONTRADICTED, CONTRADICTED, "", "", ""]
