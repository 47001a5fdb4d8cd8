"""Where in an anatomy the pixels of a slice lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from falx.phantoms.heads.pose import Frame, Pose, displacement, locate, to_anatomy

Points = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Coordinates x, y and z in millimeters (RAS) from the center of the brain, float32."""

Window = tuple[slice, slice]
"""Rows and columns."""

_COARSE = 16
"""Points along each side of a slice at which the displacement is computed."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """A slice in an anatomy.

    Attributes:
        rows, columns: its size; `columns` span the field of view.
        matrix: (3, 4) from (column, row, depth, 1) to millimeters of the anatomy, without the
            displacement; depths are millimeters from the middle of the slab.
        displacement: float32 (3, rows, columns) in millimeters.
    """

    pose: Pose
    frame: Frame
    rows: int
    columns: int
    matrix: np.ndarray
    displacement: np.ndarray

    def points(self, jitter: tuple[float, float], depth: float, window: Window) -> Points:
        """The points of the anatomy that the pixels of a window show.

        Args:
            jitter: added to their columns and rows.
            depth: along the normal from the middle of the slab, in millimeters.
        """
        rows, columns = (np.arange(part.start, part.stop, dtype=np.float32) for part in window)
        x, y, z = (
            (a * (columns + np.float32(jitter[0])))[None, :]
            + (b * (rows + np.float32(jitter[1])) + np.float32(c * depth + d))[:, None]
            + moved[window]
            for (a, b, c, d), moved in zip(
                self.matrix.astype(np.float32), self.displacement, strict=True
            )
        )
        return x, y, z

    def window(self, point: Sequence[float], reach: float) -> Window | None:
        """The pixels that may lie within a distance of a point, in millimeters; None for none."""
        right, down, along = locate(self.pose, point)
        # The displacement stretches, and so does the scale.
        reach = 1.6 * reach + 2
        if abs(along - self.frame.offset) > reach + self.frame.thickness / 2:
            return None
        pixel = self.frame.field_of_view / self.columns
        column = (right + self.frame.shift[0]) / pixel + (self.columns - 1) / 2
        row = (down + self.frame.shift[1]) / pixel + (self.rows - 1) / 2
        found = [
            slice(max(math.floor(at - reach / pixel), 0), min(math.ceil(at + reach / pixel) + 1, n))
            for at, n in ((row, self.rows), (column, self.columns))
        ]
        return (found[0], found[1]) if all(part.start < part.stop for part in found) else None


def sample(pose: Pose, frame: Frame, rows: int, columns: int) -> Sampling:
    """Where the pixels of a slice lie."""
    pixel = frame.field_of_view / columns
    scaled = to_anatomy(pose) @ np.diag([pixel, pixel, 1.0])
    first = (
        -(columns - 1) / 2 - frame.shift[0] / pixel,
        -(rows - 1) / 2 - frame.shift[1] / pixel,
        frame.offset,
    )
    matrix = np.hstack([scaled, (scaled @ first)[:, None]])
    grid = np.meshgrid(*(np.linspace(0, n - 1, _COARSE) for n in (columns, rows)))
    points = matrix[:, 3, None, None] + np.tensordot(matrix[:, :2], np.stack(grid), 1)
    moved = [
        cv2.resize(part.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
        for part in displacement(pose, points)
    ]
    return Sampling(pose, frame, rows, columns, matrix, np.stack(moved))
