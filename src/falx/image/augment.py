"""Geometry of training views: random parameters, and the affine map that they compose to.

`draw` samples a `Warp`; `apply` renders it. The same `Warp` gives the same view.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from falx.recipe import Augmentation


@dataclass(frozen=True)
class Warp:
    """The parameters of an affine map."""

    rotation: float = 0.0
    """Degrees, counterclockwise as seen."""
    shift_x: float = 0.0
    """Fraction of the width, to the right."""
    shift_y: float = 0.0
    """Fraction of the height, downwards."""
    shear: float = 0.0
    """Degrees between the vertical axis and its image."""
    zoom_x: float = 1.0
    """Magnification along the rows."""
    zoom_y: float = 1.0
    """Magnification along the columns."""
    flip: bool = False
    """Whether left and right are swapped first."""


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
    angle, shear_angle = np.deg2rad(warp.rotation), np.deg2rad(warp.shear)
    flip = np.diag([-1.0 if warp.flip else 1.0, 1.0])
    zoom = np.diag([warp.zoom_x, warp.zoom_y])
    shear = np.array([[1.0, -np.sin(shear_angle)], [0.0, np.cos(shear_angle)]])
    # Rows grow downwards, so the sine has the sign of a clockwise rotation in mathematics.
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = rotation @ shear @ zoom @ flip
    center = np.full(2, (size - 1) / 2)
    offset = center - linear @ center + size * np.array([warp.shift_x, warp.shift_y])
    return np.column_stack([linear, offset])


def apply(warp: Warp, view: np.ndarray) -> np.ndarray:
    """The warped view: uint8 (size, size), bilinear, with the edge repeated outside.

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
