"""Smooth random fields."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.random import default_rng

CUBE = 64
"""Side of `noise_cube`, a power of two, so that positions wrap by `& (CUBE - 1)`."""


def smooth_noise(seed: int, stream: int, cells: int, size: int) -> np.ndarray:
    """A smooth random field of about unit variance: float32 (size, size)."""
    values = default_rng((seed, stream)).standard_normal((cells, cells), np.float32)
    return cv2.resize(values, (size, size), interpolation=cv2.INTER_CUBIC)


@functools.cache
def noise_cube(exponent: float) -> np.ndarray:
    """A periodic random field of zero mean and unit variance: float32 (CUBE, CUBE, CUBE), flat.

    Args:
        exponent: its power falls with the frequency to the power of this; 0 is white noise, and 3.5
            has large smooth shapes with rough borders.
    """
    frequencies = [np.fft.fftfreq(CUBE), np.fft.fftfreq(CUBE), np.fft.rfftfreq(CUBE)]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*frequencies, indexing="ij")))
    radius[0, 0, 0] = np.inf
    white = default_rng(0).standard_normal((CUBE, CUBE, CUBE))
    field = np.fft.irfftn(np.fft.rfftn(white) * radius ** (-exponent / 2))
    scaled: np.ndarray = (field / field.std()).astype(np.float32).ravel()
    return scaled


def noise_quantile(exponent: float, fraction: float) -> float:
    """The value that this fraction of `noise_cube` exceeds."""
    values = _sorted_cube(exponent)
    return float(values[min(int((1 - fraction) * len(values)), len(values) - 1)])


@functools.cache
def _sorted_cube(exponent: float) -> np.ndarray:
    return np.sort(noise_cube(exponent))
