"""DICOM: stored values through modality LUT and window to grey levels.

Compressed pixel data are decoded by OpenJPEG (JPEG 2000) and GDCM (JPEG, JPEG-LS), both
permissively licensed; pydicom's own choice would depend on what else is installed.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
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
from falx.data.slices import Limits, Slice, stretched
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


def read(path: Path, content: bytes, limits: Limits) -> list[Slice]:
    """The frames of a DICOM file.

    Grey levels follow DICOM PS3.3: modality LUT or rescale (C.11.1), then VOI LUT or window
    (C.11.2), else the 0.5 to 99.5 percentiles of the frame without padding (C.7.5.1.1.2);
    MONOCHROME1 is inverted (C.7.6.3.1.2). Frames of enhanced images use the functional groups of
    their own or the shared ones. Pixels that are not square are made so.

    Raises:
        UnreadableImage: damaged, cut off, without pixels, or beyond the limits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _slices(path, content, limits)
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise UnreadableImage(
            f"'{path}' is a DICOM file that can't be decoded ({reason}); export it anew."
        ) from error


def is_available(syntax: str) -> bool:
    """Whether `decode_frame` knows a transfer syntax; pydicom asks this of a plugin."""
    return syntax in _JPEG_2000


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """One JPEG 2000 frame by OpenJPEG, in the form that pydicom asks of a plugin."""
    frame = decode_pixel_data(source, version=2, **runner.options)
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")
    precision = runner.get_option("j2k_precision", runner.bits_stored)
    runner.set_option("bits_allocated", next(bits for bits in (8, 16, 32) if precision <= bits))
    return bytes(frame)


def _slices(path: Path, content: bytes, limits: Limits) -> list[Slice]:
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    if "PixelData" not in dataset:
        raise UnreadableImage(f"'{path}' is a DICOM file without pixels; leave it out.")
    frames = int(dataset.get("NumberOfFrames") or 1)
    limits.check(path, int(dataset.Columns), int(dataset.Rows), frames)
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.ensure_file_meta()
        dataset.file_meta.TransferSyntaxUID = _guessed_syntax(dataset)
    stored = pixel_array(dataset, raw=False, decoding_plugin=_plugin(path, dataset, frames))
    color = int(dataset.SamplesPerPixel) > 1
    bits = int(dataset.BitsStored)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored, color = apply_color_lut(stored, dataset), True
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    stored = stored.reshape(frames, *stored.shape[-3 if color else -2 :])
    instance = dataset.get("InstanceNumber")
    return [
        Slice(
            pixels=_frame(dataset, stored[number], number, bits, limits, path, frames),
            path=path,
            index=number,
            format="dicom",
            color=color and bool((stored[number] != stored[number][..., :1]).any()),
            patient=str(dataset.get("PatientID") or ""),
            study=str(dataset.get("StudyInstanceUID") or ""),
            series=str(dataset.get("SeriesInstanceUID") or ""),
            instance=None if instance in (None, "") else int(instance),
        )
        for number in range(frames)
    ]


def _guessed_syntax(dataset: Dataset) -> UID:
    """Without file meta information the encoding that was read by is the one that is meant."""
    return ImplicitVRLittleEndian if dataset.original_encoding[0] else ExplicitVRLittleEndian


def _plugin(path: Path, dataset: Dataset, frames: int) -> str:
    """The decoder of a file, once its compressed frames are seen to be whole and of its size.

    GDCM ends the whole process on some streams that are not, which nothing could catch.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or syntax == RLELossless:
        return ""
    size = int(dataset.Columns), int(dataset.Rows)
    for frame in generate_frames(dataset.PixelData, number_of_frames=frames):
        width, height, whole, bits, channels = _stream(frame, syntax)
        if not whole:
            raise UnreadableImage(f"'{path}' is a DICOM file that was cut off; copy it anew.")
        if (width, height) != size:
            raise UnreadableImage(
                f"'{path}' is a DICOM file of {size[0]} x {size[1]} pixels that holds an image of "
                f"{width} x {height}; export it anew."
            )
        if bits > int(dataset.BitsAllocated) or channels != int(dataset.SamplesPerPixel):
            raise UnreadableImage(
                f"'{path}' is a DICOM file that holds {channels} channels of {bits} bits against "
                "what it says; export it anew."
            )
    return "falx" if syntax in _JPEG_2000 else "gdcm"


def _stream(frame: bytes, syntax: UID) -> tuple[int, int, bool, int, int]:
    """Width, height, whether there is an end, bits and channels of a compressed frame."""
    if syntax not in _JPEG_2000:
        header = raster.jpeg_header(frame)
        return header.width, header.height, header.whole, header.bits, header.channels
    # The SIZ marker segment follows the start, in a .jp2 file as in a bare stream.
    start = frame.find(b"\xff\x4f\xff\x51")
    right, bottom, left, top = struct.unpack_from(">IIII", frame, start + 8)
    channels, depth = struct.unpack_from(">HB", frame, start + 40)
    whole = frame.find(b"\xff\xd9", start) >= 0
    return right - left, bottom - top, whole, (depth & 0x7F) + 1, channels


def _frame(
    dataset: Dataset,
    stored: np.ndarray,
    number: int,
    bits: int,
    limits: Limits,
    path: Path,
    frames: int,
) -> np.ndarray:
    """Grey levels float32 (height, width), [0, 1], of one frame's stored values."""
    if stored.ndim == 3:
        grey = stored.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        levels = np.clip(grey / (2**bits - 1), 0, 1)
    else:
        levels = _displayed(dataset, stored, number)
    square = raster.square_within(path, levels, _spacing(dataset, number), limits, frames)
    return np.ascontiguousarray(square, np.float32)


def _displayed(dataset: Dataset, stored: np.ndarray, number: int) -> np.ndarray:
    padding = _padding(dataset, stored)
    rescale = _macro(dataset, number, "PixelValueTransformationSequence")
    values = apply_modality_lut(stored, rescale or dataset).astype(np.float64)
    window = _macro(dataset, number, "FrameVOILUTSequence") or dataset
    if window.get("VOILUTSequence"):
        top = 2 ** int(window.VOILUTSequence[0].LUTDescriptor[2]) - 1
        levels = apply_voi_lut(values.astype(np.int64), window, prefer_lut=True) / top
    elif window.get("WindowWidth") not in (None, "") and window.get("WindowCenter") not in (
        None,
        "",
    ):
        levels = _windowed(values, window)
    else:
        levels = stretched(values, ~padding)
    levels = np.clip(levels, 0, 1).astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        levels = 1 - levels
    levels[padding] = 0
    return levels


def _padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """Stored values that only fill the frame: one value, or a range with its limit."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, bool)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(limit)))
    return (stored >= low) & (stored <= high)


def _windowed(values: np.ndarray, window: Dataset) -> np.ndarray:
    """The window function of PS3.3 C.11.2.1.2 and C.11.2.1.3, with output from 0 to 1."""
    center, width = _first(window.WindowCenter), _first(window.WindowWidth)
    function = str(window.get("VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / max(width, 1e-9), -700, 700)))
    if function == "LINEAR_EXACT":
        return (values - center) / max(width, 1e-9) + 0.5
    if width <= 1:
        return (values > center - 0.5).astype(np.float64)
    return (values - (center - 0.5)) / (width - 1) + 0.5


def _spacing(dataset: Dataset, number: int) -> tuple[float, float]:
    """Distance between rows and between columns; equal where the file does not say."""
    measures = _macro(dataset, number, "PixelMeasuresSequence") or dataset
    for name in ("PixelSpacing", "PixelAspectRatio"):
        pair = measures.get(name) or dataset.get(name)
        if pair is not None and len(pair) == 2:
            return float(pair[0]), float(pair[1])
    return 1.0, 1.0


def _macro(dataset: Dataset, number: int, name: str) -> Dataset | None:
    """A functional group of a frame of an enhanced image, or None."""
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
