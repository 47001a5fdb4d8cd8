"""Where the head lies in the image."""

from __future__ import annotations

import math

import numpy as np

from falx.phantoms.noise import smooth_noise
from falx.phantoms.procedural.canvas import to_canvas
from falx.phantoms.procedural.parameters import Placement


def sampling_map(placement: Placement, rotation: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The canvas column and row that each pixel of an image shows: two float32 (size, size).

    Args:
        rotation: of the plane in degrees, added to that of the placement.
    """
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size - np.float32(0.5)
    # The aspect only shrinks the head, so that no tumor leaves the image.
    wide, high = min(1.0, placement.aspect), min(1.0, 1 / placement.aspect)
    x, y = np.meshgrid((axis - placement.shift_x) / wide, (axis - placement.shift_y) / high)
    if placement.mirrored:
        x = -x
    angle = math.radians(placement.rotation + rotation)
    sine, cosine = math.sin(angle), math.cos(angle)
    rotated = (cosine * x - sine * y, sine * x + cosine * y)
    warped = (
        part / placement.length + _displacement(placement, k, size)
        for k, part in enumerate(rotated)
    )
    columns, rows = (to_canvas(part) for part in warped)
    return columns, rows


def _displacement(placement: Placement, axis: int, size: int) -> np.ndarray:
    """The elastic displacement along an axis, in half-lengths of the brain."""
    coarse, fine = (smooth_noise(placement.seed, 2 * axis + k, (6, 20)[k], size) for k in (0, 1))
    displacement: np.ndarray = placement.warp * (coarse + 0.25 * fine)
    return displacement
