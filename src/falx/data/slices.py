"""What every reader returns, and what none may exceed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from falx.errors import UnreadableImage

LOW, HIGH = 0.5, 99.5
"""Percentiles of grey that become black and white where a file says nothing better."""


@dataclass(frozen=True)
class Slice:
    """One decoded 2-D grey image.

    Attributes:
        pixels: float32 (height, width), [0, 1].
        path: the file it came from.
        index: frame of a file of several, or axial position in a volume, from 0.
        format: "jpeg", "png", "bmp", "tiff", "webp", "dicom" or "nifti".
        color: whether the file's channels differ.
        patient: PatientID, "" where there is none.
        study: StudyInstanceUID, likewise.
        series: SeriesInstanceUID, likewise.
        instance: InstanceNumber.
    """

    pixels: np.ndarray
    path: Path
    index: int = 0
    format: str = ""
    color: bool = False
    patient: str = ""
    study: str = ""
    series: str = ""
    instance: int | None = None

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if len(shape) != 2 or 0 in shape or kind != np.float32:
            raise ValueError(f"A slice must be float32 (height, width), got {kind} {shape}.")
        if not (self.pixels.min() >= 0 and self.pixels.max() <= 1):
            raise ValueError(
                f"The grey levels of a slice must be in [0, 1], got {self.pixels.min()} to "
                f"{self.pixels.max()}."
            )


@dataclass(frozen=True)
class Limits:
    """What a file may hold, so that a small one can't fill the memory.

    Attributes:
        pixels: of all frames of a file together; the default takes 1 GB as float32.
        side: pixels in the longer side.
        file_bytes: on disk, and unpacked where it is compressed as a whole.
    """

    pixels: int = 2**28
    side: int = 2**14
    file_bytes: int = 2**31

    def check(self, path: Path, width: int, height: int, frames: int = 1) -> None:
        """Refuse an image by its header.

        Raises:
            UnreadableImage: it is empty or too large.
        """
        if min(width, height, frames) < 1:
            raise UnreadableImage(f"'{path}' has no pixels ({width} x {height}); copy it anew.")
        if width * height * frames > self.pixels:
            times = f" x {frames}" if frames > 1 else ""
            raise UnreadableImage(
                f"'{path}' has {width} x {height}{times} pixels, more than the {self.pixels:,} "
                "that falx decodes; make it smaller."
            )
        # It will be laid into a square of its longer side.
        if max(width, height) > self.side:
            raise UnreadableImage(
                f"'{path}' is {width} x {height} pixels, too long for a slice; cut it to the head."
            )


def stretched(values: np.ndarray, used: np.ndarray | None = None) -> np.ndarray:
    """Values of any range as float32 in [0, 1]: the 0.5 and 99.5 percentiles become 0 and 1.

    Args:
        used: bool like `values`; which of them the percentiles count, by default the finite ones.
    """
    finite = np.isfinite(values)
    counted = finite if used is None else finite & used
    if not counted.any():
        return np.zeros(values.shape, np.float32)
    low, high = np.percentile(values[counted], [LOW, HIGH])
    span = max(float(high - low), np.finfo(np.float32).tiny)
    scaled = np.where(finite, (values.astype(np.float64) - low) / span, 0)
    return np.clip(scaled, 0, 1).astype(np.float32)


def squared(pixels: np.ndarray, row_spacing: float, column_spacing: float) -> np.ndarray:
    """A slice with square pixels, enlarged along the coarser axis.

    Unchanged where the spacings differ by less than 1 % or either is not positive.

    Args:
        pixels: float32 (height, width), [0, 1].
        row_spacing: distance between rows, in any unit.
        column_spacing: distance between columns, in the same unit.
    """
    if min(row_spacing, column_spacing) <= 0:
        return pixels
    fine = min(row_spacing, column_spacing)
    if max(row_spacing, column_spacing) / fine < 1.01:
        return pixels
    height, width = pixels.shape
    size = round(width * column_spacing / fine), round(height * row_spacing / fine)
    return np.clip(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), 0, 1)
