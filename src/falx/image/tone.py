"""The grey levels of training views: random draws, and what is done by them.

Scanners, coils, sequences and file formats leave the anatomy alone and change how it is exposed.
`draw` samples a `Tone`; `apply` renders it. The same `Tone` gives the same view.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from falx.recipe import Augmentation

_FIELD = 3
"""Knots of a bias field along each side."""
_BIASED, _BLURRED, _COARSE, _NOISY = 0.5, 0.3, 0.2, 0.3
"""Shares of the views that are changed so; falx.recipe.Augmentation names them."""


@dataclass(frozen=True)
class Tone:
    """How the grey levels of one view change, in this order; levels are shares of the range."""

    gamma: float = 1.0
    """Exponent of all levels."""
    bias: tuple[float, ...] = ()
    """Factors at 3 x 3 places, row by row, between which a smooth field runs; () for none."""
    blur: float = 0.0
    """Standard deviation of a Gaussian in pixels."""
    coarse: float = 0.0
    """Share of the pixels along each side that are lost."""
    contrast: float = 1.0
    """Factor of all distances from the mean."""
    brightness: float = 0.0
    """What is added to all levels."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise."""
    noise_seed: int = 0
    """Of that noise."""
    inverted: bool = False
    """White becomes black, and black white."""


def draw(generator: np.random.Generator, ranges: Augmentation) -> Tone:
    """A random tone.

    As much is drawn whatever the ranges, so that a change of one leaves the others as they were.
    """

    def factor(deviation: float) -> float:
        return float(np.exp(deviation * generator.standard_normal()))

    def within(limit: float, share: float) -> float:
        among, value = generator.random(2)
        return float(value * limit) if among < share else 0.0

    gamma = factor(ranges.gamma)
    field = np.exp(ranges.bias * generator.standard_normal(_FIELD**2))
    biased = generator.random() < _BIASED and ranges.bias > 0
    return Tone(
        gamma=gamma,
        bias=tuple(field.tolist()) if biased else (),
        blur=within(ranges.blur, _BLURRED),
        coarse=within(ranges.coarse, _COARSE),
        contrast=factor(ranges.contrast),
        brightness=float(ranges.brightness * generator.standard_normal()),
        noise=within(ranges.noise, _NOISY),
        noise_seed=int(generator.integers(2**32)),
        inverted=bool(generator.random() < ranges.invert),
    )


def apply(tone: Tone, view: np.ndarray) -> np.ndarray:
    """The view with other grey levels: uint8 (size, size), cut off at black and white.

    Args:
        view: uint8 (size, size).
    """
    if _leaves_levels(tone):
        return 255 - view if tone.inverted else view
    # One look-up does for 256 levels what a power would do for each pixel.
    curve = (np.arange(256) / 255) ** tone.gamma
    levels: np.ndarray = cv2.LUT(view, curve.astype(np.float32))
    if tone.bias:
        levels *= _field(tone.bias, len(view))
    if tone.blur:
        levels = cv2.GaussianBlur(levels, (0, 0), tone.blur)
    if tone.coarse:
        levels = _coarsened(levels, tone.coarse)
    mean = float(levels.mean())
    # All that is left is done on the scale of the result, in as few passes as can be.
    levels *= 255 * tone.contrast
    levels += 255 * (mean * (1 - tone.contrast) + tone.brightness)
    if tone.noise:
        noise = np.random.default_rng(tone.noise_seed).standard_normal(view.shape, np.float32)
        levels += noise * np.float32(255 * tone.noise)
    # Rounds and cuts off.
    changed = cv2.convertScaleAbs(np.maximum(levels, 0))
    return 255 - changed if tone.inverted else changed


def _leaves_levels(tone: Tone) -> bool:
    changes = (tone.bias, tone.blur, tone.coarse, tone.brightness, tone.noise)
    return tone.gamma == tone.contrast == 1 and not any(changes)


def _field(factors: tuple[float, ...], size: int) -> np.ndarray:
    knots = np.array(factors, np.float32).reshape(_FIELD, _FIELD)
    return cv2.resize(knots, (size, size), interpolation=cv2.INTER_CUBIC)


def _coarsened(levels: np.ndarray, lost: float) -> np.ndarray:
    size = len(levels)
    fewer = max(round(size * (1 - lost)), 1)
    shrunk = cv2.resize(levels, (fewer, fewer), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR)
