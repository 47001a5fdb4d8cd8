"""NIfTI volumes become axial slices as radiologists see them."""

import contextlib
import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.data.read import Limits, read_slices
from falx.errors import UnreadableImage

NAME = Path("volume.nii")
REFUSAL = r"^'volume\.nii' .*; .*\.$"
"""One sentence that names the file and says what to do."""


def read(content, **options):
    return read_slices(NAME, content=content, **options)


def brain():
    """A head in axes right, anterior, superior, with a bright mark at its right front."""
    volume = np.zeros((20, 24, 10), np.float32)
    volume[4:16, 4:20, 2:8] = 100
    volume[13:16, 17:20, 2:8] = 300
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


@pytest.mark.parametrize("x", [1, -1])
@pytest.mark.parametrize("y", [1, -1])
def test_front_is_up_and_the_patients_right_is_at_the_left(x, y):
    """However the axes are stored, the mark at the right front is at the top left."""
    volume = brain()[::x, ::y]
    (first, *_) = read(packed(volume, np.diag([x, y, 1, 1])))
    assert first.pixels.shape == (24, 20)
    assert first.pixels[4:7, 4:7].min() == 1
    assert first.pixels[17:20, 4:7].max() < 0.5
    assert first.pixels[4:7, 13:16].max() < 0.5


def test_axes_stored_in_another_order_are_brought_back():
    affine = np.eye(4)[[1, 2, 0, 3]]
    volume = brain().transpose(2, 0, 1)
    expected = read(packed(brain()))
    for found, wanted in zip(read(packed(volume, affine)), expected, strict=True):
        assert np.array_equal(found.pixels, wanted.pixels)


def test_levels_are_scaled_by_the_percentiles_of_the_volume():
    volume = np.random.default_rng(0).uniform(50, 900, (16, 16, 3)).astype(np.float32)
    low, high = np.percentile(volume, [0.5, 99.5])
    expected = np.clip((volume - low) / (high - low), 0, 1)[::-1, ::-1, 0].T
    np.testing.assert_allclose(read(packed(volume))[0].pixels, expected, atol=1e-5)


def test_not_a_number_is_black():
    volume = brain()
    volume[10, 10, 4] = np.nan
    assert read(packed(volume))[2].pixels[24 - 1 - 10, 20 - 1 - 10] == 0


@pytest.mark.parametrize("more", [(3,), (1, 3)])
def test_of_a_series_the_first_volume_is_read(more):
    series = np.zeros((20, 24, 10, *more), np.float32)
    series[..., *(0 for _ in more)] = brain()
    found = read(packed(series))
    assert np.array_equal(found[0].pixels, read(packed(brain()))[0].pixels)
    assert len(found) == 6


def test_version_2_and_gzip_read_alike():
    expected = read(packed(brain()))[0].pixels
    assert np.array_equal(read(packed(brain(), kind=nibabel.Nifti2Image))[0].pixels, expected)
    assert np.array_equal(read(gzip.compress(packed(brain())))[0].pixels, expected)


def test_pixels_are_made_square():
    assert read(packed(brain(), np.diag([1, 2, 3, 1])))[0].pixels.shape == (48, 20)


def test_absurd_spacing_can_not_fill_the_memory():
    with pytest.raises(UnreadableImage, match="make it smaller"):
        read(packed(brain(), np.diag([1, 1e8, 1, 1])))


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


@pytest.mark.parametrize("name", ["percentile_normalize", "_checked_end", "Slice"])
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
