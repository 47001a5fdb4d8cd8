"""Gray levels of training views: random parameters, and the changes that they describe.

Scanners, coils, sequences and file formats change the gray levels and not the anatomy. `draw`
samples a `Tone`; `apply` renders it. The same `Tone` gives the same view.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from falx.recipe import Augmentation

_KNOTS = 3
"""Of a bias field along each side."""
_BIAS_FIELD, _BLUR, _DOWNSAMPLE, _NOISE = 0.5, 0.3, 0.2, 0.3
"""Probabilities of these changes; the descriptions in falx.recipe.Augmentation state them."""


@dataclass(frozen=True)
class Tone:
    """Changes to the gray levels of a view, in this order; levels range from 0 to 1."""

    gamma: float = 1.0
    """Exponent of all levels."""
    bias_field: tuple[float, ...] = ()
    """Factors at 3 x 3 knots, row by row, interpolated to a smooth field; () for none."""
    blur: float = 0.0
    """Standard deviation of a Gaussian kernel in pixels."""
    downsample: float = 0.0
    """Fraction of the pixels along each side that are lost."""
    contrast: float = 1.0
    """Factor of the difference from the mean."""
    brightness: float = 0.0
    """Offset of all levels."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise."""
    noise_seed: int = 0
    inverted: bool = False
    """Whether black and white are swapped."""


def draw(generator: np.random.Generator, ranges: Augmentation) -> Tone:
    """A random tone.

    The number of draws does not depend on the ranges, so changing one leaves the other changes as
    they were.
    """

    def factor(deviation: float) -> float:
        return float(np.exp(deviation * generator.standard_normal()))

    def within(limit: float, probability: float) -> float:
        uniform, value = generator.random(2)
        return float(value * limit) if uniform < probability else 0.0

    gamma = factor(ranges.gamma)
    factors = np.exp(ranges.bias_field * generator.standard_normal(_KNOTS**2))
    has_bias_field = generator.random() < _BIAS_FIELD and ranges.bias_field > 0
    return Tone(
        gamma=gamma,
        bias_field=tuple(factors.tolist()) if has_bias_field else (),
        blur=within(ranges.blur, _BLUR),
        downsample=within(ranges.downsample, _DOWNSAMPLE),
        contrast=factor(ranges.contrast),
        brightness=float(ranges.brightness * generator.standard_normal()),
        noise=within(ranges.noise, _NOISE),
        noise_seed=int(generator.integers(2**32)),
        inverted=bool(generator.random() < ranges.invert),
    )


def apply(tone: Tone, view: np.ndarray) -> np.ndarray:
    """The view with changed gray levels: uint8 (size, size), clipped at black and white.

    Args:
        view: uint8 (size, size).
    """
    if _keeps_levels(tone):
        return 255 - view if tone.inverted else view
    # A table of 256 powers is faster than a power of each pixel.
    curve = (np.arange(256) / 255) ** tone.gamma
    levels: np.ndarray = cv2.LUT(view, curve.astype(np.float32))
    if tone.bias_field:
        levels *= _smooth_field(tone.bias_field, len(view))
    if tone.blur:
        levels = cv2.GaussianBlur(levels, (0, 0), tone.blur)
    if tone.downsample:
        levels = _downsampled(levels, tone.downsample)
    mean = float(levels.mean())
    # The rest is computed on the scale of the result, in as few passes as possible.
    levels *= 255 * tone.contrast
    levels += 255 * (mean * (1 - tone.contrast) + tone.brightness)
    if tone.noise:
        noise = np.random.default_rng(tone.noise_seed).standard_normal(view.shape, np.float32)
        levels += noise * np.float32(255 * tone.noise)
    # Rounds and clips at white.
    changed = cv2.convertScaleAbs(np.maximum(levels, 0))
    return 255 - changed if tone.inverted else changed


def _keeps_levels(tone: Tone) -> bool:
    changes = (tone.bias_field, tone.blur, tone.downsample, tone.brightness, tone.noise)
    return tone.gamma == tone.contrast == 1 and not any(changes)


def _smooth_field(factors: tuple[float, ...], size: int) -> np.ndarray:
    knots = np.array(factors, np.float32).reshape(_KNOTS, _KNOTS)
    return cv2.resize(knots, (size, size), interpolation=cv2.INTER_CUBIC)


def _downsampled(levels: np.ndarray, lost: float) -> np.ndarray:
    """The levels at a lower resolution, in as many pixels as before."""
    size = len(levels)
    kept = max(round(size * (1 - lost)), 1)
    small = cv2.resize(levels, (kept, kept), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
