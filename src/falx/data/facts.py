"""Facts of a slice that need no network: size, gray levels, shape of the head, hashes.

They are the columns of a catalog that describe pixels; audit and grouping use nothing else, so a
slice is decoded once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from falx.data.duplicates import perceptual_hash
from falx.data.read import Slice
from falx.image.crop import Box, background_level, head_box, head_mask

VERSION = 2
"""To be raised when a fact is named or computed differently, so that no old cache is used."""

MIN_SIZE = 32
MIN_STANDARD_DEVIATION = 2 / 255
SURROUNDINGS_SIZE = 16
RINGS = 4


@dataclass(frozen=True)
class Facts:
    """Facts of a slice; gray levels are in [0, 1]."""

    index: int = 0
    format: str = ""
    color: bool = False
    patient: str = ""
    study: str = ""
    series: str = ""
    height: int = 0
    width: int = 0
    mean: float = 0.0
    standard_deviation: float = 0.0
    """Of the gray levels."""
    border: float = 0.0
    """Median gray of the outermost rim."""
    whole_hash: str = ""
    brain_hash: str = ""
    head_aspect: float = 0.0
    """Logarithm of the head's width over its height."""
    head_fill: float = 0.0
    """Fraction of the head's box that is head."""
    symmetry: float = 0.0
    """Correlation of the head with its mirror image, [-1, 1]."""
    rings: tuple[float, ...] = ()
    """Mean standardized gray in four concentric rings of the head's box, from the center out."""
    surroundings: tuple[int, ...] = ()
    """The slice without the head's box, 16 x 16 gray levels 0 to 255, row by row."""
    problem: str = ""
    """Why the slice can't be used, or an empty string."""

    def row(self) -> dict[str, Any]:
        return asdict(self)


def measure(slice_: Slice) -> Facts:
    """The facts of a slice."""
    pixels = slice_.pixels
    box = head_box(pixels)
    height, width = pixels.shape
    head = _standardized(cv2.resize(box.of(pixels), (64, 64), interpolation=cv2.INTER_AREA))
    return Facts(
        index=slice_.index,
        format=slice_.format,
        color=slice_.color,
        patient=slice_.patient,
        study=slice_.study,
        series=slice_.series,
        height=height,
        width=width,
        mean=float(pixels.mean()),
        standard_deviation=float(pixels.std()),
        border=background_level(pixels),
        whole_hash=perceptual_hash(pixels),
        brain_hash=perceptual_hash(pixels, box),
        head_aspect=float(np.log(box.width / box.height)),
        head_fill=float(box.of(head_mask(pixels)).mean()),
        symmetry=float((head * head[:, ::-1]).mean()),
        rings=_rings(head),
        surroundings=_surroundings(pixels, box),
        problem=_problem(pixels),
    )


def _problem(pixels: np.ndarray) -> str:
    height, width = pixels.shape
    if min(height, width) < MIN_SIZE:
        return f"tiny: {width} x {height} pixels, and a side needs at least {MIN_SIZE}"
    if float(pixels.std()) < MIN_STANDARD_DEVIATION:
        return "blank: all pixels have nearly the same gray level"
    return ""


def _standardized(image: np.ndarray) -> np.ndarray:
    return (image - image.mean()) / max(float(image.std()), 1e-6)


def _rings(head: np.ndarray) -> tuple[float, ...]:
    axis = (np.arange(head.shape[0]) + 0.5) / head.shape[0] * 2 - 1
    radius = np.hypot(axis[:, None], axis[None, :])
    ring = np.minimum((radius * RINGS).astype(int), RINGS)
    return tuple(float(head[ring == number].mean()) for number in range(RINGS))


def _surroundings(pixels: np.ndarray, box: Box) -> tuple[int, ...]:
    without_head = pixels.copy()
    box.of(without_head)[:] = background_level(pixels)
    size = (SURROUNDINGS_SIZE, SURROUNDINGS_SIZE)
    small = cv2.resize(without_head, size, interpolation=cv2.INTER_AREA)
    return tuple(int(level) for level in np.rint(small * 255).ravel())
