"""Segmentation of the head in a slice.

The background of a slice is the gray level of its rim; the head is the largest component that
differs from it. Burned-in text and scanner tables are smaller, so they are left out; so is a
uniform frame around the picture, as screenshots and documents have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

_WORK_SIZE = 256
_MIN_AREA_FRACTION = 0.05
_FRAME_CONTRAST = 0.1
"""Difference in gray from which a pixel is not of the frame."""
_STRAY = 0.05
"""Fraction of a line that may differ from the frame and still be of it, as artifacts of JPEG do."""
_FILLED = 0.9
"""Fraction of the picture's edge that differs from the frame."""
_SOFT_EDGE = 3
"""Lines one of which must be filled, since artifacts may precede it."""
_SOFT_STEP = 0.05
"""Difference in mean gray from which the lines at a picture's edge are a blend with the frame."""


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
    """The median gray of the rim of the picture (see `picture_box`).

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    return _rim_level(picture_box(pixels).of(pixels))


def picture_box(pixels: np.ndarray) -> Box:
    """The slice without a uniform frame around it; all of it where there is none.

    A frame is of the gray level of the rim, and what lies within is a rectangle whose edge differs
    from it: a head on the same background is round, and touches its box in few places. A hairline
    does not count, since neither the median of the rim nor the largest component holds it.

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    height, width = pixels.shape
    whole = Box(0, 0, height, width)
    differs = np.abs(pixels - _rim_level(pixels)) > _FRAME_CONTRAST
    rows = np.flatnonzero(differs.mean(axis=1) > _STRAY)
    columns = np.flatnonzero(differs.mean(axis=0) > _STRAY)
    if not (len(rows) and len(columns)):
        return whole
    box = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    margins = (box.top, box.left, height - box.bottom, width - box.right)
    if max(margins) <= _rim_width(pixels) / 2:
        return whole
    # Turned so often to the left, each of the picture's edges is its first row.
    turns = (0, 3, 2, 1)
    is_straight = all(
        np.rot90(box.of(differs), turn)[:_SOFT_EDGE].mean(axis=1).max() >= _FILLED
        for turn, margin in zip(turns, margins, strict=True)
        if margin
    )
    if not is_straight:
        return whole
    top, left, bottom, right = (
        _blended_lines(np.rot90(box.of(pixels), turn)) if margin else 0
        for turn, margin in zip(turns, margins, strict=True)
    )
    return Box(box.top + top, box.left + left, box.bottom - bottom, box.right - right)


def head_mask(pixels: np.ndarray) -> np.ndarray:
    """Pixels of the head: bool (height, width), holes filled.

    Otsu's threshold (1979) on the difference from the background, morphological opening, largest
    connected component. All of the picture (see `picture_box`) where nothing differs from the
    background, as in a slice cropped so closely that no background is left.

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    picture = picture_box(pixels)
    shown = picture.of(pixels)
    small, _ = _small(shown)
    found = _largest_component(np.abs(small - _rim_level(shown)))
    mask = np.zeros(pixels.shape, bool)
    size = (picture.width, picture.height)
    picture.of(mask)[:] = (
        True if found is None else cv2.resize(found, size, interpolation=cv2.INTER_NEAREST)
    )
    return mask


def head_box(pixels: np.ndarray) -> Box:
    """The smallest box around the head (see `head_mask`).

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    return box_around(head_mask(pixels))


def box_around(mask: np.ndarray) -> Box:
    """The smallest box around the pixels of a mask, bool (height, width), which has some."""
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
    picture = picture_box(pixels)
    shown = picture.of(pixels)
    small, scale = _small(shown)
    mask = _largest_component(np.abs(small - _rim_level(shown)), otsu_fraction=0.25)
    if mask is None:
        return None
    left, top, width, height = cv2.boundingRect(mask)
    bottom, right = (min(math.ceil(edge / scale), side) for edge, side in
                     zip((top + height, left + width), shown.shape, strict=True))  # fmt: skip
    fraction = float(mask.mean()) * shown.size / pixels.size
    return Box(
        picture.top + int(top / scale), picture.left + int(left / scale),
        picture.top + bottom, picture.left + right,
    ), fraction  # fmt: skip


def _rim_level(pixels: np.ndarray) -> float:
    """The median gray of the outermost rim, 1/32 of the shorter side wide."""
    rim = _rim_width(pixels)
    edges = (pixels[:rim], pixels[-rim:], pixels[:, :rim], pixels[:, -rim:])
    return float(np.median(np.concatenate([edge.ravel() for edge in edges])))


def _blended_lines(picture: np.ndarray) -> int:
    """How many of a picture's first rows are a blend with the frame, where its edge is blurred."""
    # No more than half of a small picture.
    lines = picture[: min(_rim_width(picture) + 1, (len(picture) + 1) // 2)]
    settled = np.abs(np.diff(lines.mean(axis=1, dtype=np.float64))) <= _SOFT_STEP
    return int(np.argmax(settled)) if settled.any() else len(settled)


def _rim_width(pixels: np.ndarray) -> int:
    return max(1, min(pixels.shape) // 32)


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
