"""The cells of a localization head's map: their size, and what they are to say."""

from __future__ import annotations

import cv2
import numpy as np

STRIDE = 8
"""Pixels of a view per cell of the map, along each side."""

TUMOR_WEIGHT = 3.0
"""What a cell of tumor weighs in the loss, above the 1 of others: there are few of them."""


def cells(cover: np.ndarray) -> np.ndarray:
    """The fraction of each cell that a cover of a view fills: float32 (size / 8, size / 8).

    Args:
        cover: of a view, float (size, size), [0, 1].
    """
    side = len(cover) // STRIDE
    return cv2.resize(cover.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
