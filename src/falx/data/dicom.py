"""DICOM: stored values through modality LUT and VOI LUT or window to gray levels.

Compressed pixel data are decoded by OpenJPEG (JPEG 2000) and GDCM (JPEG, JPEG-LS), both
permissively licensed; pydicom's own choice would depend on what else is installed.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from openjpeg.utils import decode_pixel_data
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import BytesLengthException
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from falx.data import raster
from falx.data.slices import Limits, Slice, percentile_normalize
from falx.errors import UnreadableImage

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
_JPEG_2000 = (JPEG2000Lossless, JPEG2000)
DECODER_DEPENDENCIES = dict.fromkeys(_JPEG_2000, ("pylibjpeg-openjpeg>=2.3",))
logging.getLogger("pydicom").setLevel(logging.ERROR)


@dataclass(frozen=True)
class _Header:
    """The elements of a file that hold for all its frames, as plain values."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    photometric: str
    patient: str
    study: str
    series: str
    instance: int | None


@dataclass(frozen=True)
class _Window:
    """A window and its VOI LUT function (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    center: float
    width: float
    function: str


def read(path: Path, content: bytes, limits: Limits) -> list[Slice]:
    """The frames of a DICOM file.

    Gray levels follow DICOM PS3.3: modality LUT or rescale (C.11.1), then VOI LUT or window
    (C.11.2), else the 0.5 to 99.5 percentiles of the frame without padding (C.7.5.1.1.2);
    MONOCHROME1 is inverted (C.7.6.3.1.2). Frames of enhanced images use their own functional
    groups or the shared ones. Anisotropic pixels are resampled to square ones.

    Raises:
        UnreadableImage: damaged, truncated, without pixels, or beyond the limits.
    """
    with _decoding(path):
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        header = _header(dataset) if "PixelData" in dataset else None
    if header is None:
        raise UnreadableImage(f"'{path}' is a DICOM file without pixels; leave it out.")
    limits.check(path, header.columns, header.rows, header.frames)
    with _decoding(path):
        _ensure_transfer_syntax(dataset)
    plugin = _checked_plugin(path, dataset, header)
    with _decoding(path):
        stored, bits = _stored_values(dataset, header, plugin)
    return [_slice(path, dataset, header, stored[i], i, bits, limits) for i in range(len(stored))]


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
def _decoding(path: Path, damage: tuple[type[Exception], ...] = _DAMAGE) -> Iterator[None]:
    """Around calls into pydicom, its decoders and its lazily converted elements, and only those.

    What they raise means a damaged file; anywhere else the same exception is a bug of falx.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except damage as error:
        reason = " ".join(str(error).split())[:200]
        raise UnreadableImage(
            f"'{path}' is a DICOM file that can't be decoded ({reason}); export it anew."
        ) from error


def _header(dataset: Dataset) -> _Header:
    instance = dataset.get("InstanceNumber")
    return _Header(
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        frames=int(dataset.get("NumberOfFrames") or 1),
        samples=int(dataset.SamplesPerPixel),
        bits_allocated=int(dataset.BitsAllocated),
        bits_stored=int(dataset.BitsStored),
        photometric=str(dataset.PhotometricInterpretation),
        patient=str(dataset.get("PatientID") or ""),
        study=str(dataset.get("StudyInstanceUID") or ""),
        series=str(dataset.get("SeriesInstanceUID") or ""),
        instance=None if instance in (None, "") else int(instance),
    )


def _ensure_transfer_syntax(dataset: Dataset) -> None:
    """Without file meta information, the encoding that the dataset was read in is assumed."""
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.ensure_file_meta()
        implicit = dataset.original_encoding[0]
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax


def _checked_plugin(path: Path, dataset: Dataset, header: _Header) -> str:
    """The decoder of a file, once its compressed frames are complete and as the header says.

    GDCM aborts the whole process on some streams that are not, which nothing could catch.
    """
    with _decoding(path):
        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_encapsulated or syntax == RLELossless:
            return ""
        frames = list(generate_frames(dataset.PixelData, number_of_frames=header.frames))
    for frame in frames:
        with _decoding(path, (struct.error,)):
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


def _stored_values(dataset: Dataset, header: _Header, plugin: str) -> tuple[np.ndarray, int]:
    """Stored values (frames, rows, columns), or (..., 3) in color, and bits per value."""
    stored = pixel_array(dataset, raw=False, decoding_plugin=plugin)
    bits, channels = header.bits_stored, (3,) if header.samples > 1 else ()
    if header.photometric == "PALETTE COLOR":
        stored, channels = apply_color_lut(stored, dataset), (3,)
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    return stored.reshape(header.frames, header.rows, header.columns, *channels), bits


def _slice(
    path: Path,
    dataset: Dataset,
    header: _Header,
    stored: np.ndarray,
    number: int,
    bits: int,
    limits: Limits,
) -> Slice:
    """One frame; `stored` are its stored values."""
    is_color = stored.ndim == 3
    levels = _luma(stored, bits) if is_color else _displayed(path, dataset, stored, number)
    if np.isnan(levels).any():
        raise UnreadableImage(
            f"'{path}' is a DICOM file whose gray levels are not numbers; export it anew."
        )
    with _decoding(path):
        spacing = _spacing(dataset, number)
    square = raster.to_isotropic_within(path, levels, spacing, limits, header.frames)
    return Slice(
        pixels=np.ascontiguousarray(square, np.float32),
        path=path,
        index=number,
        format="dicom",
        color=is_color and bool((stored != stored[..., :1]).any()),
        patient=header.patient,
        study=header.study,
        series=header.series,
        instance=header.instance,
    )


def _luma(stored: np.ndarray, bits: int) -> np.ndarray:
    """Gray levels, float32 (rows, columns) in [0, 1], of RGB values (rows, columns, 3)."""
    luma = stored.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.clip(luma / (2**bits - 1), 0, 1)


@np.errstate(all="ignore")
def _displayed(path: Path, dataset: Dataset, stored: np.ndarray, number: int) -> np.ndarray:
    """Gray levels, float32 (rows, columns) in [0, 1], of stored values; NaN from damaged tags."""
    with _decoding(path):
        padding = _padding(dataset)
        rescale = _functional_group(dataset, number, "PixelValueTransformationSequence") or dataset
        values = apply_modality_lut(stored, rescale).astype(np.float64)
        voi = _functional_group(dataset, number, "FrameVOILUTSequence") or dataset
        looked_up = _voi_lut(values, voi)
        window = _window(voi) if looked_up is None else None
        inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    is_padding = _is_padding(stored, padding)
    if looked_up is not None:
        levels = looked_up
    elif window is not None:
        levels = _windowed(values, window)
    else:
        levels = percentile_normalize(values, ~is_padding)
    levels = np.clip(levels, 0, 1).astype(np.float32)
    if inverted:
        levels = 1 - levels
    levels[is_padding] = 0
    return levels


def _padding(dataset: Dataset) -> tuple[int, int] | None:
    """Lowest and highest stored value that only fills the frame, or None."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    low, high = sorted((int(value), int(dataset.get("PixelPaddingRangeLimit", value))))
    return low, high


def _is_padding(stored: np.ndarray, padding: tuple[int, int] | None) -> np.ndarray:
    if padding is None:
        return np.zeros(stored.shape, bool)
    return (stored >= padding[0]) & (stored <= padding[1])


def _voi_lut(values: np.ndarray, voi: Dataset) -> np.ndarray | None:
    """Values looked up in the VOI LUT, divided by its largest; None without one."""
    if not voi.get("VOILUTSequence"):
        return None
    top = 2 ** int(voi.VOILUTSequence[0].LUTDescriptor[2]) - 1
    levels: np.ndarray = apply_voi_lut(values.astype(np.int64), voi, prefer_lut=True) / top
    return levels


def _window(voi: Dataset) -> _Window | None:
    """The first window, or None."""
    center, width = voi.get("WindowCenter"), voi.get("WindowWidth")
    if center in (None, "") or width in (None, ""):
        return None
    return _Window(_first(center), _first(width), str(voi.get("VOILUTFunction") or "LINEAR"))


def _windowed(values: np.ndarray, window: _Window) -> np.ndarray:
    """The window's function of values, with output from 0 to 1."""
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / max(width, 1e-9), -700, 700)))
    if window.function == "LINEAR_EXACT":
        return (values - center) / max(width, 1e-9) + 0.5
    if width <= 1:
        return (values > center - 0.5).astype(np.float64)
    return (values - (center - 0.5)) / (width - 1) + 0.5


def _spacing(dataset: Dataset, number: int) -> tuple[float, float]:
    """Distance between rows and between columns; equal where the file does not say."""
    measures = _functional_group(dataset, number, "PixelMeasuresSequence") or dataset
    for name in ("PixelSpacing", "PixelAspectRatio"):
        pair = measures.get(name) or dataset.get(name)
        if pair is not None and len(pair) == 2:
            return float(pair[0]), float(pair[1])
    return 1.0, 1.0


def _functional_group(dataset: Dataset, number: int, name: str) -> Dataset | None:
    """A functional group of a frame of an enhanced image, its own or the shared one, or None."""
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in (*frames[number : number + 1], *shared[:1]):
        sequence = groups.get(name)
        if sequence:
            return sequence[0]
    return None


def _first(value: Any) -> float:
    return float(value[0]) if isinstance(value, pydicom.multival.MultiValue) else float(value)


for _syntax in _JPEG_2000:
    get_decoder(_syntax).add_plugin("falx", (__name__, "decode_frame"))
