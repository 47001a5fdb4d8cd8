"""Slices as every reader returns them, and the limits of what is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from falx.errors import UnreadableImage

LOW, HIGH = 0.5, 99.5
"""Percentiles of gray that become black and white where the file states no window."""


@dataclass(frozen=True)
class Slice:
    """A decoded 2-D grayscale image.

    Attributes:
        pixels: float32 (height, width), [0, 1].
        path: the file it came from.
        index: frame of a multi-frame file, or axial position in a volume, from 0.
        format: "jpeg", "png", "bmp", "tiff", "webp", "dicom" or "nifti".
        color: whether the file's channels differ.
        patient: PatientID, or "".
        study: StudyInstanceUID, or "".
        series: SeriesInstanceUID, or "".
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
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 2 or 0 in shape or dtype != np.float32:
            raise ValueError(f"A slice must be float32 (height, width), got {dtype} {shape}.")
        if not (self.pixels.min() >= 0 and self.pixels.max() <= 1):
            raise ValueError(
                f"The gray levels of a slice must be in [0, 1], got {self.pixels.min()} to "
                f"{self.pixels.max()}."
            )


@dataclass(frozen=True)
class Limits:
    """The largest file that is read, so that a small compressed one can't fill the memory.

    Attributes:
        pixels: in all frames of a file; the default takes 1 GB as float32.
        side: pixels along the longer side.
        file_bytes: on disk, and unpacked if the file is compressed as a whole.
    """

    pixels: int = 2**28
    side: int = 2**14
    file_bytes: int = 2**31

    def check(self, path: Path, width: int, height: int, frames: int = 1) -> None:
        """Reject an image by its header.

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
        # It will be padded to a square of its longer side.
        if max(width, height) > self.side:
            raise UnreadableImage(
                f"'{path}' is {width} x {height} pixels, too long for a slice; cut it to the head."
            )


def percentile_normalize(values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Values of any range as float32 in [0, 1]: the 0.5 and 99.5 percentiles become 0 and 1.

    Args:
        values: of any shape; those that are not finite become 0.
        mask: bool, of the same shape; the values that the percentiles are taken of, by default all.
    """
    finite = np.isfinite(values)
    counted = finite if mask is None else finite & mask
    if not counted.any():
        return np.zeros(values.shape, np.float32)
    low, high = np.percentile(values[counted], [LOW, HIGH])
    span = max(float(high - low), np.finfo(np.float32).tiny)
    scaled = np.where(finite, (values.astype(np.float64) - low) / span, 0)
    return np.clip(scaled, 0, 1).astype(np.float32)


def to_isotropic(pixels: np.ndarray, row_spacing: float, column_spacing: float) -> np.ndarray:
    """A slice resampled to square pixels, by upsampling along the coarser axis.

    Unchanged if the spacings differ by less than 1 % or one is not positive.

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
