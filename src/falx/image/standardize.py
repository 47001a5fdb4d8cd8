"""Local standardization: what is left of a slice when brightness and contrast are taken out."""

from __future__ import annotations

import cv2
import numpy as np

_MIN_DEVIATION = 0.03
"""Added to the standard deviation (root of the sum of squares), so that noise stays small."""


def locally_standardized(pixels: np.ndarray, scale: float) -> np.ndarray:
    """Every pixel less the mean around it, over the standard deviation there.

    Windowing, gamma and bias fields, which change gray levels smoothly, are almost taken out.

    Args:
        pixels: float32 (height, width), [0, 1].
        scale: standard deviation of the Gaussian neighborhood, in pixels.

    Returns:
        float32 (height, width), mostly within [-3, 3].
    """
    mean = cv2.GaussianBlur(pixels, (0, 0), scale)
    variance = cv2.GaussianBlur(pixels * pixels, (0, 0), scale) - mean * mean
    deviation = np.sqrt(np.maximum(variance, 0) + _MIN_DEVIATION**2)
    standardized: np.ndarray = (pixels - mean) / deviation
    return standardized
