"""Statistics of a view that need no network: gray levels, detail by scale, where it is bright."""

from __future__ import annotations

import cv2
import numpy as np

_QUANTILES = {
    "median": 0.5,
    "75th percentile": 0.75,
    "90th percentile": 0.9,
    "99th percentile": 0.99,
}
_SCALES = (1, 2, 4, 8, 16, 32)
_PLACES = (
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom",
    "bottom right",
)  # fmt: skip

VIEW_STATISTICS = (
    "brightness",
    "contrast",
    "background",
    "symmetry",
    *(f"{name} of gray levels" for name in _QUANTILES),
    *(f"detail of {scale} pixel{'s' * (scale > 1)}" for scale in _SCALES),
    *(f"gray level at the {place}" for place in _PLACES),
)
"""What `view_statistics` measures, in that order."""

_BACKGROUND = 8
"""Highest gray level, of 255, that counts as background."""
_EPSILON = 1e-6


def view_statistics(view: np.ndarray) -> np.ndarray:
    """Statistics of a view, in the order of `VIEW_STATISTICS`: float32 (23,).

    Brightness and contrast are mean and standard deviation of the gray levels, as fractions of 255;
    background is the fraction of nearly black pixels; symmetry is the correlation with the mirror
    image, [-1, 1]. Detail of a scale is the common logarithm of the standard deviation of that
    level of a Laplacian pyramid (Burt and Adelson, IEEE Trans. Commun. 31, 1983) over the contrast:
    noise and sharpness show in the finest. Gray levels at places are means over ninths of the view,
    over the brightness.

    Args:
        view: uint8 (size, size).
    """
    levels = view.astype(np.float32) / 255
    cumulative = np.cumsum(np.bincount(view.ravel(), minlength=256)) / view.size
    brightness, contrast = float(levels.mean()), max(float(levels.std()), _EPSILON)
    standardized = (levels - brightness) / contrast
    detail = np.array(list(map(np.std, _bands(levels)))) / contrast
    ninths = cv2.resize(levels, (3, 3), interpolation=cv2.INTER_AREA).ravel()
    return np.array(
        [
            brightness,
            contrast,
            cumulative[_BACKGROUND],
            (standardized * standardized[:, ::-1]).mean(),
            *np.searchsorted(cumulative, list(_QUANTILES.values())) / 255,
            *np.log10(detail + _EPSILON),
            *ninths / max(brightness, _EPSILON),
        ],
        np.float32,
    )


def _bands(levels: np.ndarray) -> list[np.ndarray]:
    """The levels of a Laplacian pyramid, the finest first."""
    bands = []
    for _ in _SCALES:
        coarse = cv2.pyrDown(levels)
        bands.append(levels - cv2.pyrUp(coarse, dstsize=levels.shape[::-1]))
        levels = coarse
    return bands
