"""A mask lies on its image as that is shown, whatever file holds it."""

import tempfile
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.data.masks import join_masks, read_mask, read_masks
from falx.data.read import read_slices
from falx.errors import UnreadableImage
from small_scans import dicom, head, nifti, segmentation, series, tumor, write, write_nifti

IMAGE, MASK = Path("image.nii"), Path("mask.nii")
PIXELS = np.full((24, 20), 100, np.uint16)


def outlines(folder, image, mask):
    """The outline of each slice of an image, by the content of both files."""
    (folder / MASK).write_bytes(mask)
    slices = read_slices(IMAGE, content=image)
    found = read_mask(folder / MASK, plane=slices[0].plane)
    return {
        each.index: found.outline(each.index, each.uid, each.pixels.shape, each.frames)
        for each in slices
    }


def reoriented(volume, size, axes, signs):
    """A file with the same voxels at the same places, stored in another order."""
    image = nibabel.Nifti1Image(volume, np.diag([*size, 1]))
    return image.as_reoriented(np.array([*zip(axes, signs, strict=True)])).to_bytes()


@settings(max_examples=40)
@given(
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([1, -1])] * 3),
    st.sampled_from([(1, 1, 1), (1, 1, 5), (5, 1, 1), (1, 2, 3)]),
)
def test_a_mask_stored_in_another_orientation_gives_the_same_outlines(axes, signs, size):
    image, ball = nifti(head(), size), tumor().astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        expected = outlines(Path(folder), image, nifti(ball, size))
        found = outlines(Path(folder), image, reoriented(ball, size, axes, signs))
    assert expected.keys() == found.keys()
    assert sum(outline.sum() for outline in expected.values()) > 100
    for index, outline in expected.items():
        assert np.array_equal(found[index], outline)


def test_the_outline_lies_where_the_tumor_is_shown(tmp_path):
    # The ball is 15 % of a half axis to the left of, behind and above the middle.
    found = outlines(tmp_path, nifti(head()), nifti(tumor().astype(np.uint8)))
    for index, outline in found.items():
        assert np.array_equal(outline, tumor()[::-1, ::-1, index].T)
    rows, columns = np.nonzero(found[24])
    assert columns.min() > 24
    assert rows.mean() > 28


def test_all_labels_above_zero_are_tumor(tmp_path):
    labels = tumor().astype(np.uint8)
    labels[tumor() & (np.arange(48) > 16)[:, None, None]] = 4
    found = outlines(tmp_path, nifti(head()), nifti(labels))
    assert np.array_equal(found[24], tumor()[::-1, ::-1, 24].T)


def test_a_mask_is_made_square_as_its_image_is(tmp_path):
    found = outlines(tmp_path, nifti(head(), (1, 2, 3)), nifti(tumor().astype(np.uint8), (1, 2, 3)))
    assert found[24].shape == (112, 48)
    assert found[24].sum() == pytest.approx(2 * tumor()[:, :, 24].sum(), rel=0.1)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((48, 56, 39), r"mask\.nii' has 39 slices, and its image 40; mend or remove it\.$"),
        ((48, 56, 80), r"mask\.nii' has 80 slices, and its image 40; mend or remove it\.$"),
        ((24, 28, 40), r"mask\.nii' has slices of 24 x 28 pixels, and its image of 48 x 56;"),
    ],
)
def test_a_mask_of_another_size_is_named_in_one_sentence(tmp_path, shape, sentence):
    with pytest.raises(UnreadableImage, match=f"^The mask '.*{sentence}"):
        outlines(tmp_path, nifti(head()), nifti(tumor(shape).astype(np.uint8)))


def test_a_mask_of_absurd_spacing_can_not_fill_the_memory(tmp_path):
    mask = nifti(tumor().astype(np.uint8), (1, 1e8, 1e8))
    with pytest.raises(UnreadableImage, match=r"mask\.nii' .*make it smaller\.$"):
        outlines(tmp_path, nifti(head()), mask)


@pytest.mark.parametrize(
    "volume", [head(), head() / 7.3, -tumor().astype(np.int16)], ids=["image", "floats", "below 0"]
)
def test_gray_levels_are_no_mask(tmp_path, volume):
    file = write_nifti(tmp_path / "t1.nii", volume)
    with pytest.raises(UnreadableImage, match=r"t1\.nii' holds gray levels, not labels"):
        read_mask(file)


def test_an_empty_mask_says_that_there_is_no_tumor(tmp_path):
    found = outlines(tmp_path, nifti(head()), nifti(np.zeros((48, 56, 40), np.uint8)))
    assert len(found) > 20
    assert not any(outline.any() for outline in found.values())


def test_a_raster_mask_is_of_one_slice(tmp_path):
    expected = tumor()[:, :, 24]
    assert cv2.imwrite(str(tmp_path / "mask.png"), 255 * expected.astype(np.uint8))
    mask = read_mask(tmp_path / "mask.png")
    assert np.array_equal(mask.outline(0, "", expected.shape, 1), expected)
    with pytest.raises(UnreadableImage, match="has 1 slices, and its image 40"):
        mask.outline(0, "", expected.shape, 40)
    with pytest.raises(UnreadableImage, match="slices of 56 x 48 pixels, and its image of 10 x 9"):
        mask.outline(0, "", (9, 10), 1)


@pytest.mark.parametrize("label", [1, 4, 255])
def test_any_label_above_zero_is_tumor_in_a_png(tmp_path, label):
    expected = tumor()[:, :, 24]
    assert cv2.imwrite(str(tmp_path / "mask.png"), label * expected.astype(np.uint8))
    found = read_mask(tmp_path / "mask.png").outline(0, "", expected.shape, 1)
    assert np.array_equal(found, expected)


def test_ripples_of_a_jpeg_are_no_tumor(tmp_path):
    expected = tumor()[:, :, 24]
    levels = 255 * expected.astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "mask.jpg"), levels, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert ((cv2.imread(str(tmp_path / "mask.jpg"), 0) > 0) & ~expected).sum() > 10
    found = read_mask(tmp_path / "mask.jpg").outline(0, "", expected.shape, 1)
    assert (found != expected).sum() <= 2


def test_a_mask_that_can_not_be_read_is_named(tmp_path):
    (tmp_path / "mask.png").write_text("nothing")
    with pytest.raises(UnreadableImage, match=r"mask\.png' is not a JPEG"):
        read_mask(tmp_path / "mask.png")
    with pytest.raises(UnreadableImage, match=r"gone\.nii' does not exist"):
        read_mask(tmp_path / "gone.nii")


def test_a_segmentation_outlines_the_images_it_was_drawn_on_and_no_others(tmp_path):
    images = series(head())
    stored = np.stack([tumor()[::-1, ::-1, number].T for number in range(40)])
    seg = segmentation(images, stored)
    # Its empty frames are left out.
    assert seg.NumberOfFrames == np.any(stored, axis=(1, 2)).sum() < 40
    write(tmp_path, [seg], ["seg.dcm"])
    mask = read_mask(tmp_path / "seg.dcm")
    for number, image in enumerate(images):
        found = mask.outline(0, image.SOPInstanceUID, (56, 48), 1)
        assert np.array_equal(found, stored[number])
    assert mask.outline(0, "1.2.3", (56, 48), 1) is None
    assert not mask.covers(0, "1.2.3")
    assert mask.covers(0, images[0].SOPInstanceUID)


def test_a_segmentation_is_turned_as_its_images_are(tmp_path):
    volume, ball = head(), tumor()
    # Sagittal slices whose rows grow to superior and columns to anterior.
    images = [
        dicom(volume[number].T, (0, -1, 0, 0, 0, 1), (-number, 55, 0), InstanceNumber=number + 1)
        for number in range(48)
    ]
    seg = segmentation(images, np.stack([ball[number].T for number in range(48)]))
    write(tmp_path, [*images, seg])
    mask = read_mask(tmp_path / "048.dcm")
    (slice_,) = read_slices(tmp_path / "016.dcm")
    assert slice_.plane == "sagittal"
    found = mask.outline(0, slice_.uid, slice_.pixels.shape, 1)
    # Anterior is at the left, superior is up.
    assert np.array_equal(found, ball[16, ::-1, ::-1].T)
    assert found.any()


def test_a_dicom_image_is_no_mask(tmp_path):
    write(tmp_path, [dicom(PIXELS)], ["image.dcm"])
    with pytest.raises(UnreadableImage, match=r"image\.dcm' is no DICOM segmentation, so it is no"):
        read_mask(tmp_path / "image.dcm")


def test_a_segmentation_that_names_no_images_is_refused(tmp_path, caplog):
    seg = segmentation(series(head((20, 24, 3))), np.ones((3, 24, 20), bool))
    del seg.ReferencedSeriesSequence
    write(tmp_path, [seg], ["seg.dcm"])
    with pytest.raises(UnreadableImage, match=r"seg\.dcm' does not name the images"):
        read_mask(tmp_path / "seg.dcm")
    assert not caplog.text


@pytest.mark.parametrize(
    ("image", "mask", "fits"),
    [
        ((1, 1, 1), (1, 1, 1), True),
        (np.diag([1, 1, -1, 1]), (1, 1, 1), False),
        ((1, 1, 1), (1, 1, 1.1), False),
        ([[1, 0, 0, 0.4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], (1, 1, 1), True),
        ([[1, 0, 0, 0.6], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], (1, 1, 1), False),
        ([[2, 0, 0, 0.6], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]], (2, 2, 2), True),
    ],
)
def test_a_mask_lies_within_half_a_voxel_of_its_image(tmp_path, image, mask, fits):
    write_nifti(tmp_path / "image.nii", head(), image)
    write_nifti(tmp_path / "mask.nii", tumor().astype(np.uint8), mask)
    found = read_mask(tmp_path / "mask.nii")
    if fits:
        found.check_place(tmp_path / "image.nii")
    else:
        with pytest.raises(UnreadableImage, match=r"mask\.nii' lies elsewhere in the patient than"):
            found.check_place(tmp_path / "image.nii")


def test_a_tumor_is_where_any_of_several_masks_outlines_one(tmp_path):
    left, right = np.zeros((2, 10, 12), np.uint8)
    left[2:4, 2:4], right[6:8, 6:8] = 255, 255
    for name, outline in (("left", left), ("right", right)):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), outline)
    masks = read_masks(tmp_path, join_masks(["left.png", "right.png"]))
    assert np.array_equal(masks.outline(0, "", (10, 12), 1), (left > 0) | (right > 0))


def test_of_several_segmentations_each_covers_its_own_slices(tmp_path):
    images = series(head((20, 24, 4)))
    outline = np.ones((2, 24, 20), bool)
    for name, part in (("a", images[:2]), ("b", images[1:3])):
        write(tmp_path, [segmentation(part, outline)], [f"{name}.dcm"])
    masks = read_masks(tmp_path, join_masks(["a.dcm", "b.dcm"]))
    found = [masks.outline(0, image.SOPInstanceUID, (24, 20), 1) for image in images]
    assert [outline is not None for outline in found] == [True, True, True, False]
