"""Training views: random draws, and the one affine map that they compose to.

`draw` samples a `Warp`; `apply` renders it. The same `Warp` gives the same view.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from falx.recipe import Augmentation


@dataclass(frozen=True)
class Warp:
    """The parameters of one affine view."""

    rotation: float = 0.0
    """Degrees, counter-clockwise as seen."""
    shift_x: float = 0.0
    """Share of the width, to the right."""
    shift_y: float = 0.0
    """Share of the height, downwards."""
    shear: float = 0.0
    """Degrees between the vertical axis and its image."""
    zoom_x: float = 1.0
    """Magnification along the rows."""
    zoom_y: float = 1.0
    """Magnification along the columns."""
    flip: bool = False
    """Left and right change places first."""


def draw(generator: np.random.Generator, ranges: Augmentation) -> Warp:
    """A random warp, each parameter uniform in its range."""

    def within(limit: float) -> float:
        return float(generator.uniform(-limit, limit))

    return Warp(
        rotation=within(ranges.rotation),
        shift_x=within(ranges.shift_x),
        shift_y=within(ranges.shift_y),
        shear=within(ranges.shear),
        zoom_x=1 + within(ranges.zoom),
        zoom_y=1 + within(ranges.zoom),
        flip=bool(generator.random() < 0.5) and ranges.flip,
    )


def matrix(warp: Warp, size: int) -> np.ndarray:
    """The warp as one map of pixel coordinates, input to output: float64 (2, 3).

    About the center of a square of `size` pixels, in this order: flip, zoom, shear, rotation,
    shift.
    """
    turn, lean = np.deg2rad(warp.rotation), np.deg2rad(warp.shear)
    flip = np.diag([-1.0 if warp.flip else 1.0, 1.0])
    zoom = np.diag([warp.zoom_x, warp.zoom_y])
    shear = np.array([[1.0, -np.sin(lean)], [0.0, np.cos(lean)]])
    # Rows grow downwards, so the sign of the sine is that of a clockwise turn in mathematics.
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    linear = rotation @ shear @ zoom @ flip
    center = np.full(2, (size - 1) / 2)
    offset = center - linear @ center + size * np.array([warp.shift_x, warp.shift_y])
    return np.column_stack([linear, offset])


def apply(warp: Warp, view: np.ndarray) -> np.ndarray:
    """The warped view: uint8 (size, size), bilinear, the nearest pixel repeated outside.

    Args:
        view: plain view, uint8 (size, size).
    """
    size = view.shape[0]
    return cv2.warpAffine(
        view,
        matrix(warp, size),
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
