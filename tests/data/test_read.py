"""Image files become gray slices in [0, 1], or one sentence that says why they can't.

PIL is the second opinion here: falx itself decodes with OpenCV.
"""

import contextlib
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from falx.data.read import Limits, Slice, find_files, holds_dicom, read_slices
from falx.errors import BadInput, UnreadableImage

NAME = Path("scan")
REFUSAL = r"^'scan' .*; .*\.$"
"""One sentence that names the file and says what to do."""
RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (13, 17), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (13, 17, 3), dtype=np.uint8)
CLEAR = RNG.integers(0, 256, (13, 17, 4), dtype=np.uint8)


def encoded(image, kind, **options):
    stream = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(content, **options):
    return read_slices(NAME, content=content, **options)


def pixels(content):
    (slice_,) = read(content)
    return slice_.pixels


def luma(rgb):
    """ITU-R BT.601 of 8-bit channels, in [0, 1]."""
    return rgb[..., :3] @ np.array([0.299, 0.587, 0.114]) / 255


LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True, "exact": True}}


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_gray_of_8_bits_is_divided_by_255(kind):
    assert np.array_equal(pixels(encoded(GRAY, kind)), GRAY / np.float32(255))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_one_bit_is_black_and_white(kind):
    assert np.array_equal(pixels(encoded(GRAY > 127, kind)), GRAY > 127)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_color_becomes_luma_and_is_said_to_be_color(kind):
    (slice_,) = read(encoded(COLOR, kind, **LOSSLESS[kind]))
    assert slice_.color
    np.testing.assert_allclose(slice_.pixels, luma(COLOR), atol=1e-5)


def test_three_equal_channels_are_not_color_and_lose_nothing():
    (slice_,) = read(encoded(np.repeat(GRAY[..., None], 3, 2), "PNG"))
    assert not slice_.color
    assert np.array_equal(slice_.pixels, GRAY / np.float32(255))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_palette_is_looked_up(kind):
    palette = Image.fromarray(COLOR).quantize(16)
    expected = luma(np.asarray(palette.convert("RGB")))
    np.testing.assert_allclose(pixels(encoded(palette, kind)), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparency_lies_over_black_once(kind):
    expected = luma(CLEAR) * CLEAR[..., 3] / 255
    found = pixels(encoded(CLEAR, kind, **LOSSLESS[kind]))
    np.testing.assert_allclose(found, expected, atol=0.003)  # libtiff rounds to 8 bits


def test_gray_with_transparency_lies_over_black():
    image = np.ascontiguousarray(CLEAR[..., :2])
    expected = image[..., 0] / 255 * (image[..., 1] / 255)
    np.testing.assert_allclose(pixels(encoded(image, "PNG")), expected, atol=1e-5)


def test_the_unused_byte_of_a_32_bit_bmp_is_not_transparency():
    body = bytes([10, 10, 10, 0]) * 20
    header = struct.pack("<IiiHHIIiiII", 40, 5, 4, 1, 32, 0, len(body), 0, 0, 0, 0)
    bmp = b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + header + body
    np.testing.assert_allclose(pixels(bmp), 10 / 255, atol=1e-6)


@pytest.mark.parametrize(("largest", "white"), [(4095, 4095), (4096, 65535), (65535, 65535)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_hold_12_where_none_is_larger(kind, largest, white):
    levels = np.linspace(0, largest, 20).astype(np.uint16).reshape(4, 5)
    np.testing.assert_allclose(pixels(encoded(levels, kind)), levels / white, atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_turns_the_image_upright(kind, orientation):
    image = np.full((16, 32), 40, np.uint8)
    image[:8, :16], image[8:, :8] = 240, 140
    exif = Image.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    options |= {"lossless": True} if kind == "WEBP" else {}
    content = encoded(Image.fromarray(image).convert("RGB"), kind, **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("L")
    np.testing.assert_allclose(pixels(content), np.asarray(upright) / 255, atol=0.02)


def test_cmyk_jpeg_reads_as_pil_shows_it():
    content = encoded(Image.fromarray(CLEAR, "CMYK"), "JPEG", quality=100, subsampling=0)
    shown = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_allclose(pixels(content), luma(shown), atol=0.01)


def test_each_page_of_a_tiff_is_a_slice_and_all_share_one_scale():
    dark, bright = (np.full((8, 9), level, np.uint16) for level in (4000, 60000))
    slices = read(encoded(dark, "TIFF", save_all=True, append_images=[Image.fromarray(bright)]))
    assert [slice_.index for slice_ in slices] == [0, 1]
    assert [slice_.pixels.max() for slice_ in slices] == pytest.approx(
        [4000 / 65535, 60000 / 65535]
    )


def test_the_name_of_a_file_decides_nothing(tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(encoded(GRAY, "PNG"))
    assert read_slices(file)[0].format == "png"


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_8_bit_gray_png_comes_back_exactly(height, width, seed):
    levels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    content = cv2.imencode(".png", levels)[1].tobytes()
    found = pixels(content)
    assert found.flags.c_contiguous
    assert np.array_equal(np.rint(found * 255).astype(np.uint8), levels)


MAGICS = st.sampled_from(
    [
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"RIFF\x20\0\0\0WEBPVP8 ",
    ]
)


@settings(deadline=None, max_examples=300)
@given(MAGICS, st.binary(max_size=200))
def test_any_bytes_give_slices_or_unreadable_image(magic, rest):
    with contextlib.suppress(UnreadableImage):
        assert all(isinstance(slice_, Slice) for slice_ in read(magic + rest))


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(["JPEG", "PNG", "BMP", "TIFF", "WEBP"]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_images_give_slices_or_unreadable_image(kind, changes):
    content = bytearray(encoded(COLOR, kind))
    for position, value in changes:
        content[position % len(content)] = value
    with contextlib.suppress(UnreadableImage):
        read(bytes(content), limits=Limits(pixels=1_000_000))


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_every_truncation_of_a_jpeg_is_refused(options):
    content = encoded(GRAY, "JPEG", **options)
    for end in range(len(content)):
        with pytest.raises(UnreadableImage, match=REFUSAL):
            read(content[:end])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_every_truncation_is_refused(kind):
    content = encoded(COLOR, kind)
    for end in range(len(content)):
        with pytest.raises(UnreadableImage, match=REFUSAL):
            read(content[:end])


def test_the_end_of_a_thumbnail_is_not_the_end_of_a_jpeg():
    exif = Image.Exif()
    exif[700] = b"\xff\xd8 a thumbnail \xff\xd9"
    content = encoded(GRAY, "JPEG", exif=exif)
    read(content)
    with pytest.raises(UnreadableImage, match="cut off"):
        read(content[:-40])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_bytes_after_the_end_do_no_harm(kind):
    assert pixels(encoded(GRAY, kind) + bytes(500)).shape == GRAY.shape


def test_a_png_whose_data_fail_their_checksum_is_refused():
    content = bytearray(encoded(GRAY, "PNG"))
    content[60] ^= 0x10
    with pytest.raises(UnreadableImage, match="damaged PNG"):
        read(bytes(content))


@pytest.mark.parametrize("name", ["_decoded", "gray_levels", "Slice", "_png_chunks"])
def test_a_bug_of_falx_is_not_reported_as_a_damaged_file(monkeypatch, name):
    from falx.data import raster

    def broken(*_, **__):
        raise ValueError("a bug of falx")

    monkeypatch.setattr(raster, name, broken)
    with pytest.raises(ValueError, match="a bug of falx"):
        read(encoded(GRAY, "PNG"))


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + body + struct.pack(">I", zlib.crc32(body)) + end


def test_a_huge_image_is_refused_by_its_header(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnreadableImage, match=r"30000 x 30000 pixels.*make it smaller"):
        read(png_header(30_000, 30_000))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("lossless", [False, True])
def test_the_pixel_limit_counts_what_each_header_states(kind, lossless):
    content = encoded(COLOR, kind, **({"lossless": lossless} if kind == "WEBP" else {}))
    read(content, limits=Limits(pixels=13 * 17))
    with pytest.raises(UnreadableImage, match="17 x 13 pixels"):
        read(content, limits=Limits(pixels=13 * 17 - 1))


@pytest.mark.parametrize("is_in_memory", [False, True])
def test_a_file_of_too_many_bytes_is_refused(tmp_path, is_in_memory):
    file = tmp_path / "scan.png"
    file.write_bytes(encoded(GRAY, "PNG"))
    content = file.read_bytes() if is_in_memory else None
    with pytest.raises(UnreadableImage, match=r"scan\.png' has .* MB"):
        read_slices(file, limits=Limits(file_bytes=100), content=content)


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"hello", "is not a JPEG")])
def test_what_is_no_image_is_named_with_the_reason(tmp_path, content, reason):
    file = tmp_path / "scan.png"
    file.write_bytes(content)
    with pytest.raises(UnreadableImage, match=rf"scan\.png' {reason}"):
        read_slices(file)


def test_a_missing_file_is_named():
    with pytest.raises(UnreadableImage, match=r"gone\.png' does not exist"):
        read_slices(Path("gone.png"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableImage, match="not a regular file"):
        read_slices(tmp_path / "pipe")


def test_opencv_says_nothing_of_its_own_and_keeps_its_log_level(capfd):
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(UnreadableImage, match="has no pixels"):
        read(b"BM" + bytes(60))
    with pytest.raises(UnreadableImage, match="cut off"):
        read(encoded(COLOR, "TIFF")[:-1])
    assert capfd.readouterr() == ("", "")
    assert cv2.utils.logging.getLogLevel() == level


def test_reading_a_png_imports_neither_pydicom_nor_nibabel_nor_pil(tmp_path):
    file = tmp_path / "scan.png"
    file.write_bytes(encoded(GRAY, "PNG"))
    code = (
        "import sys; from pathlib import Path; from falx.data.read import read_slices;"
        f"read_slices(Path({str(file)!r}));"
        "sys.exit(any(name in sys.modules for name in ('pydicom', 'nibabel', 'PIL', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 2, 3), np.float32),
        np.zeros((2, 2)),
        np.zeros((0, 2), np.float32),
        np.full((2, 2), 1.5, np.float32),
        np.full((2, 2), np.nan, np.float32),
    ],
)
def test_a_slice_checks_itself(bad):
    with pytest.raises(ValueError, match=r"must be .*got"):
        Slice(bad, NAME)


def test_find_files_is_sorted_distinct_and_skips_what_is_well_known_to_be_no_image(tmp_path):
    for name in (
        "b.png", "a.JPG", "IM0001", "sub/deep/c.dcm", ".DS_Store", ".git/x.png",
        "notes.txt", "labels.CSV", "Thumbs.db", "sub/meta.json",
    ):  # fmt: skip
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    found = find_files([tmp_path, tmp_path / "b.png", str(tmp_path / "*.png")])
    assert [file.relative_to(tmp_path).as_posix() for file in found] == [
        "IM0001",
        "a.JPG",
        "b.png",
        "sub/deep/c.dcm",
    ]


def test_a_file_named_outright_is_kept_whatever_its_name(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_bytes(b"x")
    assert find_files([str(file)]) == [file]


def test_brackets_in_a_real_name_are_not_a_pattern(tmp_path):
    file = tmp_path / "scan[1].png"
    file.write_bytes(b"x")
    assert find_files([file]) == [file]


@pytest.mark.parametrize(
    ("path", "reason"),
    [("gone.png", "'gone.png' does not exist"), ("gone/*.png", "matches no file")],
)
def test_what_can_not_be_found_is_said(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=reason):
        find_files([path])


def test_a_jpeg_filled_up_and_given_an_end_is_not_noticed():
    """A known limit: the end is there, so only libjpeg knows, and it only warns."""
    content = encoded(GRAY, "JPEG")
    assert pixels(content[: len(content) - 60] + b"\xff\xd9").shape == GRAY.shape


def test_an_image_too_long_for_a_square_is_refused():
    strip = cv2.imencode(".png", np.zeros((40, 20_000), np.uint8))[1].tobytes()
    with pytest.raises(UnreadableImage, match="20000 x 40 pixels, too long for a slice"):
        read_slices(Path("strip.png"), content=strip)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_and_a_missing_file_hold_no_dicom(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not holds_dicom(tmp_path / "pipe")
    assert not holds_dicom(tmp_path / "gone.dcm")
