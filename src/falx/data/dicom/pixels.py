"""Stored values of DICOM files.

Compressed pixel data are decoded by OpenJPEG (JPEG 2000, also HTJ2K) and GDCM (JPEG, JPEG-LS), both
permissively licensed; pydicom's own choice would depend on what else is installed.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from openjpeg.utils import decode_pixel_data
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import BytesLengthException
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from falx.data import raster
from falx.data.dicom.header import Header
from falx.errors import UnreadableImage
from falx.quiet import ignored_warnings, quiet

# What pydicom and its decoders raise on damaged files, as fuzzing found.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_JPEG_2000 = (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K)
"""With high throughput or not, OpenJPEG decodes it, and its header is the same."""

_BY_GDCM = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)
DECODER_DEPENDENCIES = dict.fromkeys(_JPEG_2000, ("pylibjpeg-openjpeg>=2.3",))


def is_available(syntax: str) -> bool:
    """Whether `decode_frame` decodes a transfer syntax; pydicom asks this of a plugin."""
    return syntax in _JPEG_2000


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """One JPEG 2000 frame by OpenJPEG, in the form that pydicom asks of a plugin."""
    frame = decode_pixel_data(source, version=2, **runner.options)
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")
    precision = runner.get_option("j2k_precision", runner.bits_stored)
    runner.set_option("bits_allocated", next(bits for bits in (8, 16, 32) if precision <= bits))
    return bytes(frame)


@contextmanager
def decoding(path: Path, damage: tuple[type[Exception], ...] = _DAMAGE) -> Iterator[None]:
    """Around calls into pydicom, its decoders and its lazily converted elements, and only those.

    What they raise means a damaged file; anywhere else the same exception is a bug of falx.
    """
    try:
        with ignored_warnings, quiet(logging.ERROR, "pydicom"):
            yield
    except damage as error:
        reason = " ".join(str(error).split())[:200]
        raise UnreadableImage(
            f"'{path}' is a DICOM file that can't be decoded ({reason}); export it anew."
        ) from error


def ensure_transfer_syntax(dataset: Dataset) -> None:
    """Without file meta information, the encoding that the dataset was read in is assumed."""
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.ensure_file_meta()
        implicit = dataset.original_encoding[0]
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax


def checked_plugin(path: Path, dataset: Dataset, header: Header) -> str:
    """The decoder of a file, once its compressed frames are complete and as the header says.

    GDCM aborts the whole process on some streams that are not, which nothing could catch.
    """
    with decoding(path):
        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_encapsulated or syntax == RLELossless:
            return ""
        if syntax not in (*_JPEG_2000, *_BY_GDCM):
            raise UnreadableImage(
                f"'{path}' is a DICOM file compressed as {syntax.name}, which falx does not read; "
                "export it anew without compression."
            )
        frames = list(generate_frames(dataset.PixelData, number_of_frames=header.frames))
    for frame in frames:
        with decoding(path, (struct.error,)):
            width, height, complete, bits, channels = _stream_header(frame, syntax)
        if not complete:
            raise UnreadableImage(f"'{path}' is a DICOM file that was cut off; copy it anew.")
        if (width, height) != (header.columns, header.rows):
            raise UnreadableImage(
                f"'{path}' is a DICOM file of {header.columns} x {header.rows} pixels that holds "
                f"an image of {width} x {height}; export it anew."
            )
        if bits > header.bits_allocated or channels != header.samples:
            raise UnreadableImage(
                f"'{path}' is a DICOM file whose header contradicts its pixel data of {channels} "
                f"channels and {bits} bits; export it anew."
            )
    return "falx" if syntax in _JPEG_2000 else "gdcm"


def _stream_header(frame: bytes, syntax: UID) -> tuple[int, int, bool, int, int]:
    """Width, height, whether there is an end marker, bits and channels of a compressed frame."""
    if syntax not in _JPEG_2000:
        header = raster.jpeg_header(frame)
        return header.width, header.height, header.complete, header.bits, header.channels
    # The SIZ marker segment follows the start, in a .jp2 file as in a bare stream.
    start = frame.find(b"\xff\x4f\xff\x51")
    right, bottom, left, top = struct.unpack_from(">IIII", frame, start + 8)
    channels, depth = struct.unpack_from(">HB", frame, start + 40)
    complete = frame.find(b"\xff\xd9", start) >= 0
    return right - left, bottom - top, complete, (depth & 0x7F) + 1, channels


def stored_values(dataset: Dataset, header: Header, plugin: str) -> tuple[np.ndarray, int]:
    """Stored values (frames, rows, columns), or (..., 3) in color, and bits per value."""
    stored = pixel_array(dataset, raw=False, decoding_plugin=plugin)
    bits, channels = header.bits_stored, (3,) if header.samples > 1 else ()
    if header.photometric == "PALETTE COLOR":
        stored, channels = apply_color_lut(stored, dataset), (3,)
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    return stored.reshape(header.frames, header.rows, header.columns, *channels), bits


for _syntax in _JPEG_2000:
    get_decoder(_syntax).add_plugin("falx", (__name__, "decode_frame"))
