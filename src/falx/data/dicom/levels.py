"""From the stored values of a DICOM file to gray levels, by PS3.3."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from falx.data.dicom.header import functional_group
from falx.data.dicom.pixels import decoding
from falx.data.slices import percentile_normalize


@dataclass(frozen=True)
class _Window:
    """A window and its VOI LUT function (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    center: float
    width: float
    function: str


def luma(stored: np.ndarray, bits: int) -> np.ndarray:
    """Gray levels, float32 (rows, columns) in [0, 1], of RGB values (rows, columns, 3)."""
    luma = stored.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.clip(luma / (2**bits - 1), 0, 1)


@np.errstate(all="ignore")
def displayed(path: Path, dataset: Dataset, stored: np.ndarray, number: int) -> np.ndarray:
    """Gray levels, float32 (rows, columns) in [0, 1], of stored values; NaN from damaged tags."""
    with decoding(path):
        padding = _padding(dataset)
        rescale = functional_group(dataset, number, "PixelValueTransformationSequence") or dataset
        values = apply_modality_lut(stored, rescale).astype(np.float64)
        voi = functional_group(dataset, number, "FrameVOILUTSequence") or dataset
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


def _first(value: Any) -> float:
    return float(value[0]) if isinstance(value, MultiValue) else float(value)
