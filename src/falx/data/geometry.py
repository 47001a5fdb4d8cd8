"""How a slice lies in the patient: its plane, and which way up it is shown.

Directions are in the patient coordinates of DICOM (PS3.3 C.7.6.2.1.1): x to the patient's left, y
to posterior, z to superior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from falx.data.slices import Plane

PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")
"""By the axis of the normal."""

_SHOWN: dict[Plane, tuple[int, int, int, int]] = {
    "axial": (0, 1, 1, 1),
    "coronal": (0, 1, 2, -1),
    "sagittal": (1, 1, 2, -1),
}
"""Axis and sign along which columns grow as shown, then those of rows."""

_TOWARDS = {"axial": 1.0, "coronal": -1.0, "sagittal": -1.0}
"""Sign of the axis of the normal that points to superior, anterior or right."""

_MIN_COSINE = 0.8
"""Of the normal with an axis; below it, a slice is oblique."""


@dataclass(frozen=True)
class Orientation:
    """How the stored pixels of a slice lie in the patient.

    Attributes:
        plane: of the slice.
        transposed: whether rows and columns are exchanged to show it.
        flip_rows, flip_columns: whether these are then reversed.
        normal: unit vector towards superior, anterior or right; of an oblique slice, in the
            direction of the cross product of row and column.
    """

    plane: Plane = ""
    transposed: bool = False
    flip_rows: bool = False
    flip_columns: bool = False
    normal: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def shown(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels (height, width, ...) as a radiologist sees them; a view of the same memory."""
        turned = np.swapaxes(pixels, 0, 1) if self.transposed else pixels
        rows, columns = (slice(None, None, -1 if f else 1) for f in self._flips)
        return turned[rows, columns]

    def shown_spacing(self, spacing: tuple[float, float]) -> tuple[float, float]:
        """Distance between rows and between columns as shown, from those stored."""
        return (spacing[1], spacing[0]) if self.transposed else spacing

    def position_of(self, corner: Sequence[float]) -> float:
        """Where a slice with this corner lies along the normal, in mm."""
        return float(np.dot(self.normal, corner))

    @property
    def _flips(self) -> tuple[bool, bool]:
        return self.flip_rows, self.flip_columns


def orientation_of(row: Sequence[float], column: Sequence[float]) -> Orientation:
    """The orientation of a slice from its direction cosines.

    Args:
        row: direction in which the column index grows along a row (x, y, z).
        column: direction in which the row index grows down a column.

    Returns:
        An unknown one (plane "") where the cosines don't span a plane, and an oblique one, shown as
        stored, where the normal is more than 37 degrees off every axis.
    """
    across, down = np.asarray(row, float), np.asarray(column, float)
    normal = np.cross(across, down)
    length = float(np.linalg.norm(normal))
    if not np.isfinite(length) or length < 0.5:
        return Orientation()
    normal = normal / length
    axis = int(np.argmax(np.abs(normal)))
    if abs(normal[axis]) < _MIN_COSINE:
        return Orientation("oblique", normal=_vector(normal))
    plane = PLANES[axis]
    towards = normal * np.sign(normal[axis]) * _TOWARDS[plane]
    column_axis, column_sign, row_axis, row_sign = _SHOWN[plane]
    transposed = abs(across[column_axis]) < abs(down[column_axis])
    if transposed:
        across, down = down, across
    return Orientation(
        plane=plane,
        transposed=bool(transposed),
        flip_rows=bool(down[row_axis] * row_sign < 0),
        flip_columns=bool(across[column_axis] * column_sign < 0),
        normal=_vector(towards),
    )


def _vector(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
