"""Slices as every reader returns them, and the limits of what is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from falx.errors import UnreadableImage

LOW, HIGH = 0.5, 99.5
"""Percentiles of gray that become black and white where the file states no window."""


Plane = Literal["axial", "coronal", "sagittal", "oblique", ""]
"""The plane of a slice; empty where the file doesn't say."""


@dataclass(frozen=True)
class Acquisition:
    """What the headers say about how a slice was acquired; empty where they say nothing.

    Attributes:
        modality: as in DICOM, such as "MR".
        body_part: BodyPartExamined, in capitals.
        image_type: values of ImageType, in capitals.
        description: SeriesDescription.
        contrast: whether a contrast agent is named.
        sop_class: name of the SOP class, such as "MR Image Storage".
    """

    modality: str = ""
    body_part: str = ""
    image_type: tuple[str, ...] = ()
    description: str = ""
    contrast: bool = False
    sop_class: str = ""


@dataclass(frozen=True)
class Slice:
    """A decoded 2-D grayscale image, as a radiologist sees it where its orientation is known.

    That is the patient's right at the left of axial and coronal slices, and anterior at the left
    of sagittal ones; anterior or superior is up.

    Attributes:
        pixels: float32 (height, width), [0, 1].
        path: the file it came from.
        index: frame of a multi-frame file, or position in a volume, from 0.
        frames: how many its file holds, those that are no slice included.
        format: "jpeg", "png", "bmp", "tiff", "webp", "dicom" or "nifti".
        color: whether the file's channels differ.
        patient: PatientID, or "".
        study: StudyInstanceUID, or "".
        series: SeriesInstanceUID, or "".
        uid: SOPInstanceUID, or "".
        instance: InstanceNumber.
        plane: of the slice.
        position: of the slice along the normal of its plane, in mm towards superior, anterior or
            right; NaN where unknown.
        spacing: of the pixels, which are square, in mm; NaN where unknown.
        acquisition: what the headers say.
        further_volumes: of its file, that are not read; the first of a series is.
    """

    pixels: np.ndarray
    path: Path
    index: int = 0
    frames: int = 1
    format: str = ""
    color: bool = False
    patient: str = ""
    study: str = ""
    series: str = ""
    uid: str = ""
    instance: int | None = None
    plane: Plane = ""
    position: float = math.nan
    spacing: float = math.nan
    acquisition: Acquisition = Acquisition()
    further_volumes: int = 0

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
    return normalize(values, *gray_limits(values if mask is None else values[mask]))


def gray_limits(values: np.ndarray) -> tuple[float, float]:
    """The values that become black and white: the 0.5 and 99.5 percentiles of the finite ones."""
    finite = np.isfinite(values)
    counted = values.ravel(order="K") if finite.all() else values[finite]
    if not counted.size:
        return 0.0, 1.0
    low, high = np.percentile(counted, [LOW, HIGH])
    return float(low), float(high)


def normalize(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as float32 in [0, 1], from `low` to `high`; those that are not finite become 0."""
    span = max(high - low, float(np.finfo(np.float32).tiny))
    scaled = np.where(np.isfinite(values), (values.astype(np.float64) - low) / span, 0)
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
