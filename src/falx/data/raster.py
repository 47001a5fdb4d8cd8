"""JPEG, PNG, BMP, TIFF and WebP, decoded by OpenCV.

OpenCV fills the missing part of a truncated file with gray without a warning, and decodes before
the size can be checked; so the headers are read here first.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from falx.data.slices import Limits, Slice, percentile_normalize, to_isotropic
from falx.errors import UnreadableImage

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)
UNIT = 1
"""What is white where gray levels are fractions of it."""

_TIFF_SIZES = {1: 1, 3: 2, 4: 4}
_TIFF_CODES = {1: "B", 3: "H", 4: "I"}


@dataclass(frozen=True)
class _Header:
    """What a header says, and whether the file holds all the data that it announces."""

    width: int
    height: int
    complete: bool
    frames: int = 1
    channels: int = 0
    bits: int = 0


def kind_of(content: bytes) -> str:
    """The raster format by its leading bytes, or an empty string."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((kind for magic, kind in _MAGIC if content.startswith(magic)), "")


def read(path: Path, content: bytes, kind: str, limits: Limits) -> list[Slice]:
    """The slices of a raster file; more than one for a TIFF of several pages.

    Eight-bit levels are divided by 255; sixteen-bit ones by 4095 where none in the file is larger
    (scanners store 12 bits in 16), else by 65535; others are normalized by percentiles. Color is
    converted to gray by ITU-R BT.601, transparency is composited over black, and the EXIF
    orientation is applied.

    Raises:
        UnreadableImage: truncated, damaged, or beyond the limits.
    """
    try:
        header = _HEADERS[kind](content)
    except struct.error as error:
        raise UnreadableImage(
            f"'{path}' has a damaged {kind.upper()} header; copy it anew."
        ) from error
    limits.check(path, header.width, header.height, header.frames)
    if not header.complete:
        raise UnreadableImage(f"'{path}' is a {kind.upper()} that was cut off; copy it anew.")
    images = _decoded(content, kind, header.frames)
    # OpenCV applies the orientation to JPEG and TIFF, but under UNCHANGED to neither PNG nor WebP.
    if kind in ("png", "webp"):
        images = [upright(image, _orientation(content, kind)) for image in images]
    if not images:
        raise UnreadableImage(f"'{path}' is a damaged {kind.upper()}; copy it anew.")
    if kind == "tiff":
        # libtiff has composited 8-bit RGBA over black already; a second time would darken it.
        images = [image[..., :3] if image.ndim == 3 else image for image in images]
    slices = []
    white = max(map(white_level, images))
    for index, image in enumerate(images):
        pixels, color = gray_levels(image, white)
        slices.append(Slice(pixels, path, index, len(images), kind, color))
    return slices


def gray_levels(image: np.ndarray, white: int) -> tuple[np.ndarray, bool]:
    """Gray levels float32 (height, width) in [0, 1], and whether there was color.

    Args:
        image: uint8, uint16 or other numbers, (height, width) or (height, width, channels): gray,
            gray with transparency, BGR, or that with transparency.
        white: what is white in 16 bits; `UNIT` for floats in [0, 1] that stay as they are.
    """
    levels = _unit_range(image, white)
    if levels.ndim == 2 or levels.shape[2] == 1:
        return np.ascontiguousarray(levels.reshape(levels.shape[:2])), False
    if levels.shape[2] == 2:
        return np.ascontiguousarray(levels[..., 0] * levels[..., 1]), False
    color = bool((image[..., :3] != image[..., :1]).any())
    gray = cv2.cvtColor(np.ascontiguousarray(levels[..., :3]), cv2.COLOR_BGR2GRAY)
    if not color:
        gray = levels[..., 0]
    if levels.shape[2] == 4:
        gray = gray * levels[..., 3]
    return np.ascontiguousarray(np.clip(gray, 0, 1)), color


def white_level(image: np.ndarray) -> int:
    """What is white in 16 bits: 4095 where no value is larger, since scanners store 12 bits."""
    return 4095 if image.max(initial=0) <= 4095 else 65535


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """An image with its EXIF orientation, 1 to 8, undone."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def to_isotropic_within(
    path: Path, pixels: np.ndarray, spacing: tuple[float, float], limits: Limits, frames: int = 1
) -> np.ndarray:
    """A slice resampled to square pixels, if all frames of that size stay within the limits.

    Args:
        pixels: float32 (height, width), [0, 1].
        spacing: distance between rows, and between columns; unknown if not positive and finite.

    Raises:
        UnreadableImage: it would be too large.
    """
    rows, columns = spacing
    if not (math.isfinite(rows) and math.isfinite(columns) and min(spacing) > 0):
        return pixels
    height, width = pixels.shape
    wide, high = (min(ratio / min(spacing), 2**31) for ratio in (columns, rows))
    limits.check(path, math.ceil(width * wide), math.ceil(height * high), frames)
    return to_isotropic(pixels, rows, columns)


def _decoded(content: bytes, kind: str, frames: int) -> list[np.ndarray]:
    data = np.frombuffer(content, np.uint8)
    # UNCHANGED keeps transparency and drops EXIF orientation; a JPEG has no transparency.
    flags = cv2.IMREAD_UNCHANGED
    if kind == "jpeg":
        flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        if frames > 1:
            done, images = cv2.imdecodemulti(data, flags)
            return list(images) if done and len(images) == frames else []
        image = cv2.imdecode(data, flags)
    except cv2.error:
        return []
    finally:
        cv2.utils.logging.setLogLevel(level)
    return [] if image is None else [image]


def _unit_range(image: np.ndarray, white: int) -> np.ndarray:
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 255
    if image.dtype == np.uint16:
        return image.astype(np.float32) / white
    if white == UNIT:
        return image.astype(np.float32)
    return percentile_normalize(image)


def _png(content: bytes) -> _Header:
    width, height = struct.unpack_from(">II", content, 16)
    return _Header(width, height, any(name == b"IEND" for name, _ in _png_chunks(content)))


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies of the complete chunks."""
    offset = 8
    while offset + 12 <= len(content):
        end = offset + 12 + struct.unpack_from(">I", content, offset)[0]
        if end > len(content):
            return
        yield content[offset + 4 : offset + 8], content[offset + 8 : end - 4]
        offset = end


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 12
    while offset + 8 <= len(content):
        length = struct.unpack_from("<I", content, offset + 4)[0]
        yield content[offset : offset + 4], content[offset + 8 : offset + 8 + length]
        offset += 8 + length + length % 2


def _orientation(content: bytes, kind: str) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, where there is none that can be read."""
    chunks = _png_chunks(content) if kind == "png" else _webp_chunks(content)
    exif = next((body for name, body in chunks if name in (b"eXIf", b"EXIF")), b"")
    exif = exif.removeprefix(b"Exif\0\0")
    order = "<" if exif[:2] == b"II" else ">"
    try:
        tags, _ = _tiff_page(exif, order, struct.unpack_from(order + "I", exif, 4)[0])
        return tags[274][0]
    except (struct.error, KeyError, IndexError):
        return 1


def jpeg_header(content: bytes) -> _Header:
    """Size of a JPEG or JPEG-LS stream, and whether it has an end marker."""
    width = height = bits = channels = 0
    for marker, offset in _jpeg_segments(content):
        if marker == 0xDA:
            # In entropy-coded data 0xFF is followed by 0 or a restart marker, so this is the end.
            complete = content.find(b"\xff\xd9", offset) >= 0
            return _Header(width, height, complete, channels=channels, bits=bits)
        # Frame headers; 0xF7 is that of JPEG-LS.
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            bits, height, width, channels = struct.unpack_from(">BHHB", content, offset + 2)
    return _Header(max(width, 1), max(height, 1), complete=False)


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Markers before the image data, each with the offset of its length."""
    offset = 2
    while offset + 4 <= len(content):
        match = re.compile(rb"\xff+([^\xff\x00])").match(content, offset)
        if match is None:
            return
        marker, offset = match[1][0], match.end()
        yield marker, offset
        if marker == 0xDA:
            return
        offset += struct.unpack_from(">H", content, offset)[0]


def _bmp(content: bytes) -> _Header:
    offset, header_size = struct.unpack_from("<II", content, 10)
    if header_size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", content, 18)
    height = abs(height)
    row = (width * bits + 31) // 32 * 4
    needed = offset + (row * height if compression in (0, 3) else 1)
    return _Header(width, height, needed <= len(content))


def _webp(content: bytes) -> _Header:
    complete = 8 + struct.unpack_from("<I", content, 4)[0] <= len(content)
    kind = content[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(content[24:27], "little")
        height = 1 + int.from_bytes(content[27:30], "little")
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", content, 26))
    return _Header(width, height, complete)


def _tiff(content: bytes) -> _Header:
    """The size of the largest page, the number of pages, and whether their data are all there."""
    order = "<" if content[:2] == b"II" else ">"
    offset = struct.unpack_from(order + "I", content, 4)[0]
    width = height = frames = 0
    seen: set[int] = set()
    complete = True
    while offset and offset not in seen:
        seen.add(offset)
        try:
            tags, offset = _tiff_page(content, order, offset)
            page_width, page_height = tags[256][0], tags[257][0]
        except (struct.error, KeyError, IndexError):
            return _Header(max(width, 1), max(height, 1), complete=False, frames=max(frames, 1))
        width, height, frames = max(width, page_width), max(height, page_height), frames + 1
        starts = tags.get(273) or tags.get(324) or ()
        counts = tags.get(279) or tags.get(325) or ()
        ends = [start + count for start, count in zip(starts, counts, strict=False)]
        complete &= bool(starts) and max(ends, default=0) <= len(content)
    return _Header(width, height, complete, frames)


def _tiff_page(content: bytes, order: str, offset: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """The integer tags of one directory, and the offset of the next directory."""
    count = struct.unpack_from(order + "H", content, offset)[0]
    tags = {}
    for entry in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", content, entry)
        if kind not in _TIFF_SIZES or values > len(content):
            continue
        size = _TIFF_SIZES[kind] * values
        where = entry + 8 if size <= 4 else struct.unpack_from(order + "I", content, entry + 8)[0]
        tags[tag] = struct.unpack_from(f"{order}{values}{_TIFF_CODES[kind]}", content, where)
    return tags, struct.unpack_from(order + "I", content, offset + 2 + 12 * count)[0]


_HEADERS = {"png": _png, "jpeg": jpeg_header, "bmp": _bmp, "webp": _webp, "tiff": _tiff}
