"""From a slice to the square that the network sees.

A view has gray levels 0 to 255 in uint8 for every runtime; the scaling that the weights expect is a
layer of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from falx.image.crop import Box, background_level, head_box
from falx.recipe import Rendering


@dataclass(frozen=True)
class Region:
    """The rectangle of a slice that a view shows; half-open, may extend beyond the slice."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def render(pixels: np.ndarray, rendering: Rendering, head: Box | None = None) -> np.ndarray:
    """The plain view of a slice: uint8 (size, size).

    Args:
        pixels: float32 (height, width), [0, 1].
        head: the box of the head, if it is known.
    """
    return render_with_region(pixels, rendering, head)[0]


def render_with_region(
    pixels: np.ndarray, rendering: Rendering, head: Box | None = None
) -> tuple[np.ndarray, Region]:
    """The plain view of a slice, and the rectangle of the slice that it shows."""
    box = (head or head_box(pixels)) if rendering.crop == "head" else None
    return render_levels(to_levels(pixels), background_level(pixels), rendering, box)


def to_levels(pixels: np.ndarray) -> np.ndarray:
    """Gray levels in [0, 1] as uint8, 0 to 255."""
    levels: np.ndarray = np.rint(pixels * 255).astype(np.uint8)
    return levels


def render_levels(
    levels: np.ndarray, background: float, rendering: Rendering, head: Box | None
) -> tuple[np.ndarray, Region]:
    """The plain view of a slice of known background, and the rectangle that it shows.

    Args:
        levels: uint8 (height, width).
        background: gray level in [0, 1] (see falx.image.crop.background_level).
        head: the box of the head; None for the whole slice, as it is where it is not cropped.
    """
    box = head if head and rendering.crop == "head" else Box(0, 0, *levels.shape)
    shown = box.of(levels)
    padding = abs(box.height - box.width) if rendering.aspect == "keep" else 0
    before, after = padding // 2, padding - padding // 2
    is_tall = box.height > box.width
    top, bottom, left, right = (0, 0, before, after) if is_tall else (before, after, 0, 0)
    if padding:
        shown = cv2.copyMakeBorder(
            shown, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(round(background * 255),)
        )
    region = Region(box.top - top, box.left - left, box.bottom + bottom, box.right + right)
    return _resized(shown, rendering.size), region


def shown_in(region: Region, mask: np.ndarray, size: int) -> np.ndarray:
    """The part of a slice's mask that a view shows: float32 (size, size), [0, 1].

    Args:
        region: of the slice that the view shows.
        mask: bool (height, width).
    """
    height, width = mask.shape
    inside = mask[max(region.top, 0) : region.bottom, max(region.left, 0) : region.right]
    padded = cv2.copyMakeBorder(
        inside.astype(np.float32),
        max(-region.top, 0),
        max(region.bottom - height, 0),
        max(-region.left, 0),
        max(region.right - width, 0),
        cv2.BORDER_CONSTANT,
        value=0,
    )
    return cv2.resize(padded, (size, size), interpolation=cv2.INTER_AREA)


def _resized(levels: np.ndarray, size: int) -> np.ndarray:
    interpolation = cv2.INTER_AREA if min(levels.shape) > size else cv2.INTER_LINEAR
    return cv2.resize(levels, (size, size), interpolation=interpolation)
