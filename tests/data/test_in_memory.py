"""Images that Python holds become the slices that their files give, bit for bit."""

import io
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

import small_scans
from falx.data.in_memory import image_sources, is_image
from falx.data.read import read_slices
from falx.errors import BadInput, UnreadableImage
from falx.phantoms import make_phantom

GRAY = make_phantom(3, tumor=True, size=64).pixels
COLOR = np.stack([GRAY, GRAY // 2, 255 - GRAY], axis=-1)
SIXTEEN = GRAY.astype(np.uint16) * 200
TWELVE = GRAY.astype(np.uint16) * 16


def pixels_of(image, name="image"):
    """The pixels of all slices of an image."""
    return [slice_.pixels for source in image_sources(image, name) for slice_ in source]


def written(file: Path, pixels: np.ndarray) -> np.ndarray:
    """The pixels that the reader of files gives of an image in the order of OpenCV, BGR."""
    assert cv2.imwrite(str(file), pixels)
    (slice_,) = read_slices(file)
    return slice_.pixels


@pytest.mark.parametrize("array", [GRAY, TWELVE, SIXTEEN], ids=["8", "12", "16"])
def test_a_gray_array_is_what_its_file_gives(array, tmp_path):
    expected = written(tmp_path / "a.png", array)
    for same in (array, array[..., None], np.asfortranarray(array)):
        (found,) = pixels_of(same)
        np.testing.assert_array_equal(found, expected)


def test_a_color_array_is_rgb(tmp_path):
    expected = written(tmp_path / "a.png", COLOR[..., ::-1])
    np.testing.assert_array_equal(pixels_of(COLOR)[0], expected)
    alpha = np.dstack([COLOR, GRAY])
    expected = written(tmp_path / "b.png", alpha[..., [2, 1, 0, 3]])
    np.testing.assert_array_equal(pixels_of(alpha)[0], expected)
    assert image_sources(COLOR, "image")[0][0].color
    assert not image_sources(np.dstack([GRAY] * 3), "image")[0][0].color


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_fractions_of_white(dtype):
    array = (GRAY / 255).astype(dtype)
    # Neither stretched to the darkest and brightest, nor clipped by percentiles.
    (found,) = pixels_of(array / 2)
    np.testing.assert_array_equal(found, (array / 2).astype(np.float32))


def test_a_stack_is_independent_slices_of_one_white_level():
    stack = np.stack([TWELVE, SIXTEEN])
    sources = image_sources(stack, "scan")
    assert [len(source) for source in sources] == [1, 1]
    assert [str(source[0].path) for source in sources] == ["scan[0]", "scan[1]"]
    np.testing.assert_array_equal(sources[0][0].pixels, TWELVE.astype(np.float32) / 65535)
    assert len(image_sources(np.stack([COLOR, COLOR, COLOR]), "scan")) == 3


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "I;16"])
def test_an_image_of_pillow_is_what_its_file_gives(mode, tmp_path):
    if mode == "I;16":
        image = Image.fromarray(SIXTEEN)
    elif mode == "RGBA":
        image = Image.fromarray(np.dstack([COLOR, GRAY]))
    else:
        image = Image.fromarray(COLOR).convert(mode)
    assert image.mode == mode
    image.save(tmp_path / "a.png")
    expected = read_slices(tmp_path / "a.png")[0].pixels
    np.testing.assert_array_equal(pixels_of(image)[0], expected)
    with Image.open(tmp_path / "a.png") as opened:
        (source,) = image_sources(opened, "image")
    assert source[0].path == tmp_path / "a.png"
    np.testing.assert_array_equal(source[0].pixels, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_of_pillow_is_undone(orientation, tmp_path):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(GRAY[:, :48]).save(tmp_path / "a.png", exif=exif)
    expected = read_slices(tmp_path / "a.png")[0].pixels
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(pixels_of(image)[0], expected)


def test_a_palette_with_transparency_is_what_its_file_gives(tmp_path):
    image = Image.fromarray(GRAY).convert("P")
    image.save(tmp_path / "a.png", transparency=int(GRAY[32, 32]))
    expected = read_slices(tmp_path / "a.png")[0].pixels
    with Image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(pixels_of(opened)[0], expected)


def test_a_dataset_is_what_its_file_gives_and_stays_as_it_is(tmp_path):
    dataset = small_scans.dicom(TWELVE, orientation=(0, 1, 0, 0, 0, -1), PixelSpacing=[1, 2])
    (tmp_path / "a.dcm").write_bytes(small_scans.content(dataset))
    (expected,) = read_slices(tmp_path / "a.dcm")
    before = dataset.to_json()
    (made,), (opened,) = (
        image_sources(each, "image")[0] for each in (dataset, pydicom.dcmread(tmp_path / "a.dcm"))
    )
    assert dataset.to_json() == before
    for found in (made, opened):
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        assert (found.series, found.plane, found.uid) == (
            expected.series,
            expected.plane,
            expected.uid,
        )
    assert (made.path, opened.path) == (Path("image"), tmp_path / "a.dcm")


def test_a_dataset_out_of_a_stream_has_the_name_that_it_is_given():
    dataset = pydicom.dcmread(io.BytesIO(small_scans.content(small_scans.dicom(TWELVE))))
    assert image_sources(dataset, "image")[0][0].path == Path("image")


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("scaled", [False, True])
def test_an_image_of_nibabel_is_what_its_file_gives(kind, scaled, tmp_path):
    head = small_scans.head((32, 40, 8))
    image = kind(head * 0.37 + 1.3 if scaled else head, np.diag([-1, 1, 4, 1]))
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "a.nii.gz")
    expected = read_slices(tmp_path / "a.nii.gz")
    opened = nibabel.load(tmp_path / "a.nii.gz")
    (found,) = image_sources(opened, "image")
    assert len(found) == len(expected) > 4
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.pixels, theirs.pixels)
        assert (ours.path, ours.index, ours.position) == (
            theirs.path,
            theirs.index,
            theirs.position,
        )


REFUSED = {
    "nan": (np.where(GRAY > 9, np.nan, 0.5), "not numbers"),
    "beyond": (GRAY.astype(float), "reach from 0 to 2"),
    "negative": (GRAY / 255 - 0.5, "can't be known"),
    "bool": (GRAY > 9, "array of bool"),
    "int64": (GRAY.astype(int), "array of int64"),
    "int16": (GRAY.astype(np.int16), "array of int16"),
    "complex": (GRAY.astype(complex), "array of complex128"),
    "vector": (GRAY[0], r"has the shape \(64,\)"),
    "five axes": (np.zeros((2, 2, 64, 64, 3), np.uint8), r"has the shape \(2, 2, 64, 64, 3\)"),
    "no slices": (np.zeros((0, 64, 64), np.uint8), "stack of no slices"),
    "none": (None, "is of type NoneType"),
    "bytes": (b"image", "is of type bytes"),
    "list": ([1, 2], "is of type list"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_image_is_one_sentence(case):
    image, reason = REFUSED[case]
    with pytest.raises(BadInput, match=reason) as error:
        image_sources(image, "image[7]")
    assert "'image[7]'" in str(error.value)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_an_empty_array_has_no_pixels():
    with pytest.raises(UnreadableImage, match=r"'image' has no pixels"):
        image_sources(np.zeros((0, 64), np.uint8), "image")


def test_images_are_told_from_lists_and_arrays():
    volume = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    for image in (Image.fromarray(GRAY), small_scans.dicom(TWELVE), volume):
        assert is_image(image)
    for other in (GRAY, [GRAY], "a.png", None):
        assert not is_image(other)


def test_a_damaged_file_that_pillow_opened_is_one_sentence(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with (
        Image.open(tmp_path / "a.png") as image,
        pytest.raises(UnreadableImage, match="Pillow can't decode"),
    ):
        image_sources(image, "image")
    image = Image.fromarray(GRAY)
    image.close()
    with pytest.raises(UnreadableImage, match="Pillow can't decode"):
        image_sources(image, "image")


def test_a_damaged_file_that_nibabel_opened_is_one_sentence(tmp_path):
    file = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.ones((32, 32, 8), np.float32), np.eye(4)), file)
    image = nibabel.load(file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UnreadableImage, match="nibabel can't read"):
        image_sources(image, "image")


def test_floats_of_pillow_are_what_their_file_gives(tmp_path):
    floats = GRAY.astype(np.float32) * 3 - 7
    Image.fromarray(floats, "F").save(tmp_path / "a.tiff")
    (slice_,) = read_slices(tmp_path / "a.tiff")
    with Image.open(tmp_path / "a.tiff") as image:
        (pixels,) = pixels_of(image)
    np.testing.assert_array_equal(pixels, slice_.pixels)
