"""Segmentation of the head in a slice.

The background of a slice is the gray level of its rim; the head is the largest component that
differs from it. Burned-in text and scanner tables are smaller, so they are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

_WORK_SIZE = 256
_MIN_AREA_FRACTION = 0.05


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, half-open: rows [top, bottom), columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        if not (0 <= self.top < self.bottom and 0 <= self.left < self.right):
            raise ValueError(f"A box must hold at least one pixel, got {self}.")

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """The part of an image (height, width) inside the box, as a view."""
        return pixels[self.top : self.bottom, self.left : self.right]


def background_level(pixels: np.ndarray) -> float:
    """The median gray of the outermost rim, 1/32 of the shorter side wide.

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    rim = max(1, min(pixels.shape) // 32)
    edges = (pixels[:rim], pixels[-rim:], pixels[:, :rim], pixels[:, -rim:])
    return float(np.median(np.concatenate([edge.ravel() for edge in edges])))


def head_mask(pixels: np.ndarray) -> np.ndarray:
    """Pixels of the head: bool (height, width), holes filled.

    Otsu's threshold (1979) on the difference from the background, morphological opening, largest
    connected component. All True where nothing differs from the background, as in a slice cropped
    so closely that no background is left.

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    height, width = pixels.shape
    small, _ = _small(pixels)
    mask = _largest_component(np.abs(small - background_level(pixels)))
    if mask is None:
        return np.ones((height, width), bool)
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)


def head_box(pixels: np.ndarray) -> Box:
    """The smallest box around the head (see `head_mask`).

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    mask = head_mask(pixels)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def head_extent(pixels: np.ndarray) -> tuple[Box, float] | None:
    """The box around all of the head, dim scalp included, and the fraction of the slice it fills.

    As `head_mask`, but by a quarter of Otsu's threshold: in a volume, whose slices are judged
    together, a little background does less harm than a lost scalp.

    Args:
        pixels: float32 (height, width), [0, 1].

    Returns:
        None where no head is found.
    """
    small, scale = _small(pixels)
    mask = _largest_component(np.abs(small - background_level(pixels)), otsu_fraction=0.25)
    if mask is None:
        return None
    left, top, width, height = cv2.boundingRect(mask)
    bottom, right = (min(math.ceil(edge / scale), side) for edge, side in
                     zip((top + height, left + width), pixels.shape, strict=True))  # fmt: skip
    return Box(int(top / scale), int(left / scale), bottom, right), float(mask.mean())


def _small(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """The slice at working size, and its scale."""
    height, width = pixels.shape
    scale = min(1.0, _WORK_SIZE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), scale


def _largest_component(contrast: np.ndarray, *, otsu_fraction: float = 0.5) -> np.ndarray | None:
    """uint8 (height, width) of the largest component, or None if it covers less than 5 %."""
    levels = np.clip(contrast * 255, 0, 255).astype(np.uint8)
    levels = cv2.GaussianBlur(levels, (5, 5), 0)
    otsu, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    # A fraction of Otsu's threshold: in slices with one very bright part (fat, contrast agent), the
    # full threshold keeps only that part.
    threshold = max(otsu * otsu_fraction, 8)
    binary = (levels > threshold).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    binary = cv2.morphologyEx(binary, cv2.MORPH_OPEN, kernel)
    count, components, statistics, _ = cv2.connectedComponentsWithStats(binary)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    if statistics[largest, cv2.CC_STAT_AREA] < _MIN_AREA_FRACTION * binary.size:
        return None
    return _filled((components == largest).astype(np.uint8))


def _filled(mask: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(mask.copy(), contours, -1, 1, cv2.FILLED)
