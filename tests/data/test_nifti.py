"""NIfTI volumes become slices as radiologists see them, in the plane of acquisition."""

import contextlib
import gzip
import itertools
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.data.nifti import is_label_volume
from falx.data.read import Limits, read_slices
from falx.errors import UnreadableImage
from small_scans import head, tumor

NAME = Path("volume.nii")
REFUSAL = r"^'volume\.nii' .*; .*\.$"
"""One sentence that names the file and says what to do."""


def read(content, **options):
    return read_slices(NAME, content=content, **options)


def brain():
    """A noisy head in axes right, anterior, superior, with a bright mark at its right front."""
    volume = np.zeros((20, 24, 10), np.float32)
    volume[4:16, 4:20, 2:8] = np.random.default_rng(0).uniform(90, 110, (12, 16, 6))
    volume[13:16, 17:20, 2:8] = np.random.default_rng(1).uniform(300, 310, (3, 3, 6))
    return volume


def packed(volume, affine=None, kind=nibabel.Nifti1Image):
    return kind(volume, np.eye(4) if affine is None else affine).to_bytes()


def test_only_slices_that_hold_brain_are_read_with_their_position():
    slices = read(packed(brain()))
    assert [slice_.index for slice_ in slices] == [2, 3, 4, 5, 6, 7]
    assert {slice_.format for slice_ in slices} == {"nifti"}
    assert {(slice_.patient, slice_.series, slice_.instance) for slice_ in slices} == {
        ("", "", None)
    }


SHOWN = {
    # Voxels have axes to the right, anterior and superior; the right, the front and above are shown
    # first.
    "axial": lambda volume, at: volume[::-1, ::-1, at].T,
    "coronal": lambda volume, at: volume[::-1, at, ::-1].T,
    "sagittal": lambda volume, at: volume[at, ::-1, ::-1].T,
}
AXES = ("sagittal", "coronal", "axial")
ORIENTATIONS = [
    np.array([*zip(axes, signs, strict=True)])
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
"""All 48, in the form of nibabel."""


def stored(volume, size, orientation):
    """The file of a volume whose axes are stored in another order and direction."""
    image = nibabel.Nifti1Image(volume, np.diag([*size, 1]))
    return image.as_reoriented(orientation).to_bytes()


def test_the_mark_at_the_right_front_is_at_the_top_left():
    (first, *_) = read(packed(brain()))
    assert first.pixels.shape == (24, 20)
    assert first.pixels[4:7, 4:7].min() > 0.95
    assert first.pixels[17:20, 4:7].max() < 0.5
    assert first.pixels[4:7, 13:16].max() < 0.5


@pytest.mark.parametrize(
    "size", [(1, 1, 1), (1, 1, 4), (1, 4, 1), (4, 1, 1), (0.5, 0.5, 0.75)], ids=str
)
@pytest.mark.parametrize("axes", [*itertools.permutations(range(3))], ids=str)
def test_however_the_axes_are_stored_the_slices_are_the_same(axes, size):
    volume = head((12, 14, 10))
    plane = AXES[int(np.argmax(size))] if max(size) > 2 else "axial"
    low, high = np.percentile(volume, [0.5, 99.5])
    scaled = np.clip((volume - low) / (high - low), 0, 1)
    for orientation in (each for each in ORIENTATIONS if tuple(each[:, 0]) == axes):
        slices = read(stored(volume, size, orientation))
        assert {slice_.plane for slice_ in slices} == {plane}
        assert len(slices) > 4
        for slice_ in slices:
            expected = SHOWN[plane](scaled, slice_.index)
            np.testing.assert_allclose(slice_.pixels, expected, atol=1e-5)
            assert slice_.position == slice_.index * size[AXES.index(plane)]
            assert slice_.spacing == min(size)
            assert slice_.frames == volume.shape[AXES.index(plane)]


@given(st.sampled_from(ORIENTATIONS), st.tuples(*[st.floats(-1, 1)] * 3), st.floats(0, 0.5))
@settings(max_examples=40)
def test_a_tilted_volume_is_shown_along_its_nearest_axes(orientation, axis, angle):
    volume = head((12, 14, 10))
    turn = rotation(axis, angle)
    affine = nibabel.Nifti1Image(volume, np.eye(4)).as_reoriented(orientation).affine
    image = nibabel.Nifti1Image(volume, np.eye(4)).as_reoriented(orientation)
    tilted = nibabel.Nifti1Image(np.asarray(image.dataobj), turn @ affine)
    for found, expected in zip(read(tilted.to_bytes()), read(packed(volume)), strict=True):
        assert np.array_equal(found.pixels, expected.pixels)
        assert found.position == pytest.approx(expected.position, abs=1e-4)
        assert found.plane == "axial"


@pytest.mark.parametrize("degrees", [40, 45, 50])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0)], ids=["x", "y"])
def test_a_volume_halfway_between_two_planes_is_oblique(axis, degrees):
    slices = read(packed(brain(), rotation(axis, np.deg2rad(degrees))))
    assert {slice_.plane for slice_ in slices} == {"oblique"}
    assert np.isfinite([slice_.position for slice_ in slices]).all()


@given(st.tuples(*[st.floats(-1, 1)] * 3), st.floats(0, np.pi))
@settings(max_examples=40)
def test_the_plane_of_a_turned_volume_is_that_of_its_normal(axis, angle):
    affine = rotation(axis, angle)
    cosines = np.abs(nibabel.as_closest_canonical(nibabel.Nifti1Image(brain(), affine)).affine[:3])
    normal = cosines[:, 2]
    if abs(normal.max() - 0.8) > 1e-3:
        plane = AXES[int(normal.argmax())] if normal.max() > 0.8 else "oblique"
        content = nibabel.Nifti1Image(brain(), affine).to_bytes()
        assert {slice_.plane for slice_ in read(content)} == {plane}


def test_without_orientation_codes_the_plane_is_unknown_and_the_position_is_not():
    header = nibabel.Nifti1Header()
    header.set_data_shape((20, 24, 10))
    header.set_zooms((1, 1, 2))
    slices = read(nibabel.Nifti1Image(brain(), None, header).to_bytes())
    assert {slice_.plane for slice_ in slices} == {""}
    assert [slice_.position for slice_ in slices] == [4, 6, 8, 10, 12, 14]


@pytest.mark.parametrize("form", ["qform", "sform"])
def test_either_orientation_code_tells_the_plane(form):
    image = nibabel.Nifti1Image(brain(), np.eye(4))
    image.header.set_sform(np.eye(4), code=int(form == "sform"))
    image.header.set_qform(np.eye(4), code=int(form == "qform"))
    assert {slice_.plane for slice_ in read(image.to_bytes())} == {"axial"}


def rotation(axis, angle):
    """An affine that turns around an axis, by quaternions."""
    from nibabel.quaternions import quat2mat

    length = float(np.linalg.norm(axis))
    unit = np.asarray(axis) / length if length > 0.1 else np.array([0, 0, 1])
    affine = np.eye(4)
    affine[:3, :3] = quat2mat([np.cos(angle / 2), *(np.sin(angle / 2) * unit)])
    return affine


def test_axes_stored_in_another_order_are_brought_back():
    affine = np.eye(4)[[1, 2, 0, 3]]
    volume = brain().transpose(2, 0, 1)
    expected = read(packed(brain()))
    for found, wanted in zip(read(packed(volume, affine)), expected, strict=True):
        assert np.array_equal(found.pixels, wanted.pixels)


@pytest.mark.parametrize(
    ("size", "plane"),
    [
        ((5, 1, 1), "sagittal"),
        ((1, 5, 1), "coronal"),
        ((1, 1, 5), "axial"),
        ((1.9, 1, 1), "axial"),
        ((2, 1, 1), "sagittal"),
        ((1, 1, 1), "axial"),
        ((3, 3, 1), "axial"),
    ],
)
def test_thick_slices_decide_the_plane_and_others_are_axial(size, plane):
    assert {slice_.plane for slice_ in read(packed(head((20, 22, 24)), np.diag([*size, 1])))} == {
        plane
    }


@pytest.mark.parametrize(("axis", "plane"), [(0, "sagittal"), (1, "coronal"), (2, "axial")])
def test_a_volume_one_voxel_thick_is_one_slice(axis, plane):
    volume = head((20, 22, 24))
    middle = np.take(volume, [volume.shape[axis] // 2], axis=axis)
    (slice_,) = read(packed(middle))
    assert (slice_.plane, slice_.index, slice_.frames) == (plane, 0, 1)
    low, high = np.percentile(middle, [0.5, 99.5])
    scaled = np.clip((middle - low) / (high - low), 0, 1)
    np.testing.assert_allclose(slice_.pixels, SHOWN[plane](scaled, 0), atol=1e-5)


@pytest.mark.parametrize(
    ("unit", "size"), [("mm", 4.0), ("meter", 4e-3), ("micron", 4e3), ("unknown", 4.0)]
)
def test_sizes_are_in_millimeters_whatever_unit_the_file_states(unit, size):
    image = nibabel.Nifti1Image(head((12, 14, 10)), np.diag([size, size, size, 1]))
    image.header.set_xyzt_units(unit)
    slices = read(image.to_bytes())
    assert slices[0].spacing == pytest.approx(4, rel=1e-6)
    steps = np.diff([slice_.position for slice_ in slices])
    np.testing.assert_allclose(steps, 4, rtol=1e-5)


def test_an_unheard_of_unit_is_taken_as_millimeters():
    content = bytearray(packed(brain(), np.diag([2, 2, 2, 1])))
    content[123] = 7
    assert read(bytes(content))[0].spacing == 2


def test_levels_are_scaled_by_the_percentiles_of_the_volume():
    volume = np.random.default_rng(0).uniform(50, 900, (16, 16, 3)).astype(np.float32)
    low, high = np.percentile(volume, [0.5, 99.5])
    expected = np.clip((volume - low) / (high - low), 0, 1)[::-1, ::-1, 0].T
    np.testing.assert_allclose(read(packed(volume))[0].pixels, expected, atol=1e-5)


def test_not_a_number_is_black():
    volume = brain()
    volume[10, 10, 4] = np.nan
    slices = read(packed(volume))
    assert slices[2].pixels[24 - 1 - 10, 20 - 1 - 10] == 0
    assert slices[1].pixels[24 - 1 - 10, 20 - 1 - 10] > 0.2


@pytest.mark.parametrize("more", [(3,), (1, 3)])
def test_of_a_series_the_first_volume_is_read(more):
    series = np.zeros((20, 24, 10, *more), np.float32)
    series[..., *(0 for _ in more)] = brain()
    found = read(packed(series))
    assert np.array_equal(found[0].pixels, read(packed(brain()))[0].pixels)
    assert len(found) == 6
    assert {slice_.further_volumes for slice_ in found} == {2}
    assert {slice_.further_volumes for slice_ in read(packed(brain()))} == {0}


def test_version_2_and_gzip_read_alike():
    expected = read(packed(brain()))[0].pixels
    assert np.array_equal(read(packed(brain(), kind=nibabel.Nifti2Image))[0].pixels, expected)
    assert np.array_equal(read(gzip.compress(packed(brain())))[0].pixels, expected)


def test_pixels_are_made_square():
    assert read(packed(brain(), np.diag([1, 2, 3, 1])))[0].pixels.shape == (48, 20)
    assert read(packed(brain(), np.diag([5, 1, 2, 1])))[0].pixels.shape == (20, 24)


def test_absurd_spacing_can_not_fill_the_memory():
    with pytest.raises(UnreadableImage, match="make it smaller"):
        read(packed(brain(), np.diag([1, 1e8, 1e8, 1])))


COLORS = np.zeros((4, 4, 4), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        (np.zeros((8, 8, 4), np.float32), "no slice with brain"),
        (np.zeros((8, 8), np.float32), "2 dimensions"),
        (COLORS, "colors or complex"),
        (np.zeros((4, 4, 4), np.complex64), "colors or complex"),
    ],
)
def test_what_is_no_gray_volume_is_refused_with_the_reason(volume, reason):
    with pytest.raises(UnreadableImage, match=rf"volume\.nii'.*{reason}.*leave it out"):
        read(packed(volume))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_truncation_is_refused(pack):
    content = pack(packed(brain()[:, :, 2:4]))
    for end in range(2, len(content), 1 if pack is gzip.compress else 31):
        with pytest.raises(UnreadableImage, match=REFUSAL):
            read(content[:end])


def test_a_gzip_whose_checksum_fails_is_refused():
    content = bytearray(gzip.compress(packed(brain())))
    content[-6] ^= 1
    with pytest.raises(
        UnreadableImage, match=r"can't be decoded \(CRC check failed.*export it anew"
    ):
        read(bytes(content))


@pytest.mark.parametrize("name", ["gray_limits", "_checked_end", "Slice", "is_label_volume"])
def test_a_bug_of_falx_is_not_reported_as_a_damaged_file(monkeypatch, name):
    from falx.data import nifti

    def broken(*_, **__):
        raise KeyError("a bug of falx")

    monkeypatch.setattr(nifti, name, broken)
    with pytest.raises(KeyError, match="a bug of falx"):
        read(packed(brain()))


def test_what_gzip_holds_must_be_nifti():
    with pytest.raises(UnreadableImage, match="holds no NIfTI volume"):
        read(gzip.compress(b"a table" * 100))


def test_a_huge_volume_is_refused_before_it_is_unpacked(monkeypatch):
    header = bytearray(packed(brain())[:352])
    struct.pack_into("<8h", header, 40, 3, 3000, 3000, 3000, 1, 1, 1, 1)
    asked = []
    unpack = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda self, size=-1: asked.append(size) or unpack(self, size)
    )
    with pytest.raises(UnreadableImage, match="3000 x 3000 x 3000 pixels"):
        read(gzip.compress(bytes(header) + bytes(10**6)))
    assert sum(asked) < 1000


def test_a_series_that_unpacks_to_too_much_is_refused():
    series = np.zeros((20, 24, 10, 30), np.float32)
    with pytest.raises(UnreadableImage, match="unpacks to"):
        read(gzip.compress(packed(series)), limits=Limits(file_bytes=500_000))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_headers_give_slices_or_unreadable_image(changes):
    content = bytearray(packed(brain()))
    for position, value in changes:
        content[position] = value
    with contextlib.suppress(UnreadableImage):
        read(bytes(content), limits=Limits(pixels=1_000_000))


def test_damaged_headers_print_nothing(capfd):
    content = bytearray(packed(brain()))
    struct.pack_into("<f", content, 80, float("nan"))
    struct.pack_into("<h", content, 70, 4096)
    with pytest.raises(UnreadableImage, match=REFUSAL):
        read(bytes(content))
    assert capfd.readouterr() == ("", "")


def labels(shape=(60, 70, 50), *, n=54):
    """Regions around random seeds inside a head, numbered from 1."""
    axes = np.stack(np.meshgrid(*(np.linspace(-1, 1, k) for k in shape), indexing="ij"), axis=-1)
    seeds = np.random.default_rng(0).uniform(-0.8, 0.8, (n, 3))
    distance = ((axes[..., None, :] - seeds) ** 2).sum(axis=-1)
    return ((axes**2).sum(axis=-1) < 0.8) * (1 + distance.argmin(axis=-1))


def small_mask():
    mask = np.zeros((40, 40, 40))
    mask[3:6, 30:33, 4:7] = 1
    return mask


def two_small_tumors_with_edema():
    mask = np.zeros((40, 40, 40))
    mask[3:9, 30:36, 4:10], mask[5:7, 32:34, 6:8] = 2, 4
    mask[30:35, 5:10, 30:35] = 2
    return mask


MASKS = {
    "whole numbers": tumor().astype(np.uint8),
    "floats of 0 and 1": tumor().astype(np.float32),
    "0 and 255": 255 * tumor().astype(np.uint8),
    "54 regions of a head": labels().astype(np.uint16),
    "54 regions of a head, negative": (-labels()).astype(np.int16),
    "a single voxel": np.eye(3, 1, dtype=np.uint8)[:, :, None] * np.eye(1, 40, dtype=np.uint8),
    "empty in the middle": small_mask().astype(np.uint8),
    "several labels, empty in the middle": two_small_tumors_with_edema().astype(np.float32),
}


@pytest.mark.parametrize("name", MASKS)
def test_labels_are_recognized_and_refused_as_an_image(name):
    assert is_label_volume(MASKS[name])
    with pytest.raises(
        UnreadableImage, match=r"^'volume\.nii' holds labels, not gray levels; .*\.$"
    ):
        read(packed(MASKS[name]))


def few_levels(levels):
    """A head of so many gray levels, to which noise was added before."""
    smooth = head((60, 70, 50)).astype(float)
    noisy = smooth + np.random.default_rng(1).normal(0, 0.4 * smooth.max() / levels, smooth.shape)
    return np.clip(np.rint(noisy / smooth.max() * levels), 0, levels).astype(np.uint8)


IMAGES = {
    "8 bits": (head((60, 70, 50)) / 5).astype(np.uint8),
    "8 bits, enlarged by repeating voxels": np.repeat(
        np.repeat((head((40, 40, 40)) / 5).astype(np.uint8), 2, axis=0), 2, axis=1
    ),
    "32 levels": few_levels(32),
    "16 levels": few_levels(16),
    "8 levels": few_levels(8),
    "floats that are no whole numbers": labels() + 0.5,
    "only zeros": np.zeros((20, 20, 20), np.int16),
    "only one number": np.full((20, 20, 20), 7, np.int16),
    "not numbers": np.full((20, 20, 20), np.nan, np.float32),
}


@pytest.mark.parametrize("name", IMAGES)
def test_gray_levels_are_not_taken_for_labels(name):
    assert not is_label_volume(IMAGES[name])
