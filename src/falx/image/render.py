"""From a slice to the square that the network sees.

A rendering is grey levels 0 to 255 in uint8, as every runtime takes them; the scaling that the
weights expect is a layer of the network.
"""

from __future__ import annotations

import cv2
import numpy as np

from falx.image.crop import background_level, head_box
from falx.recipe import Rendering


def render(pixels: np.ndarray, rendering: Rendering) -> np.ndarray:
    """The plain view of a slice: uint8 (size, size).

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    levels = np.rint(pixels * 255).astype(np.uint8)
    if rendering.crop == "head":
        levels = head_box(pixels).of(levels)
    if rendering.aspect == "keep":
        levels = _padded_to_square(levels, round(background_level(pixels) * 255))
    return _resized(levels, rendering.size)


def _padded_to_square(levels: np.ndarray, background: int) -> np.ndarray:
    height, width = levels.shape
    missing = abs(height - width)
    before, after = missing // 2, missing - missing // 2
    top, bottom, left, right = (0, 0, before, after) if height > width else (before, after, 0, 0)
    return cv2.copyMakeBorder(
        levels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(background,)
    )


def _resized(levels: np.ndarray, size: int) -> np.ndarray:
    shrinks = min(levels.shape) > size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(levels, (size, size), interpolation=method)
