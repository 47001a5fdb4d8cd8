"""Heat maps of findings: where in a slice the evidence lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.image.crop import Box
from falx.image.render import Region


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Evidence for a class, place by place.

    Attributes:
        values: shares of the class's logit, as coarse as the network sees: float32 (rows, columns).
        region: the part of the slice that the network saw.
        shape: of the slice, (height, width).
    """

    values: np.ndarray
    region: Region
    shape: tuple[int, int]

    def on_slice(self) -> np.ndarray:
        """Evidence at each pixel of the slice, 0 where there is none or against: float32.

        Computed at each call: findings by the thousand would fill memory with it.
        """
        return np.maximum(spread(self.values, self.region, self.shape), 0)

    @property
    def peak(self) -> tuple[int, int] | None:
        """Row and column of the pixel of strongest evidence; None without any."""
        evidence = self.on_slice()
        if evidence.max() <= 0:
            return None
        row, column = np.unravel_index(np.argmax(evidence), self.shape)
        return int(row), int(column)

    @property
    def extent(self) -> Box | None:
        """The box around all evidence of at least half the strongest; None where there is none."""
        evidence = self.on_slice()
        strongest = evidence.max()
        if strongest <= 0:
            return None
        rows, columns = np.nonzero(evidence >= strongest / 2)
        return Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)


def spread(values: np.ndarray, region: Region, shape: tuple[int, int]) -> np.ndarray:
    """What each place says, at each pixel: float32 (height, width), 0 outside the region.

    By a cubic B-spline (Unser, IEEE Signal Process. Mag. 16, 1999) a place wide, which smooths
    somewhat more than linear interpolation, so that the strongest pixel can lie between places; see
    docs/explain.md for what that is worth.

    Args:
        values: float (rows, columns); places part the region evenly.
        shape: (height, width).
    """
    down = _weights(shape[0], region.top, region.bottom, values.shape[0])
    across = _weights(shape[1], region.left, region.right, values.shape[1])
    result: np.ndarray = down @ values @ across.T
    return result


def _weights(pixels: int, start: int, end: int, places: int) -> np.ndarray:
    """How much each place counts at each pixel, in all 1 from `start` to `end`: (pixels, places).

    The outermost places go on beyond the edge.
    """
    centers = np.arange(pixels) + 0.5
    position = (centers - start) / (end - start) * places - 0.5
    distance = np.abs(position[:, None] - np.arange(-2, places + 2))
    near = 2 / 3 - distance**2 + distance**3 / 2
    weights = np.where(distance < 1, near, np.maximum(2 - distance, 0) ** 3 / 6)
    weights[:, 2] += weights[:, :2].sum(axis=1)
    weights[:, -3] += weights[:, -2:].sum(axis=1)
    seen = (centers > start) & (centers < end)
    result: np.ndarray = (weights[:, 2:-2] * seen[:, None]).astype(np.float32)
    return result
