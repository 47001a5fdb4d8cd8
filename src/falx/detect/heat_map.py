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
        """Evidence at each pixel of the slice: float32 (height, width).

        Places that speak against the class count as 0, and so does what the network did not see.
        Computed at each call: findings by the thousand would fill memory with it.
        """
        return spread(np.maximum(self.values, 0), self.region, self.shape)

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

    By cubic B-splines (Unser, IEEE Signal Process. Mag. 16, 1999), which smooth more than linear
    interpolation does, so that the strongest pixel can lie between the middles of places; see
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
    """How much each place counts at each pixel, most in its middle: float32 (pixels, places).

    Places part the stretch from `start` to `end` evenly; pixels beyond it see none. In all it is 1,
    but towards the edge, where evidence fades: nothing is known of what lies beyond.
    """
    centers = np.arange(pixels) + 0.5
    position = (centers - start) / (end - start) * places - 0.5
    distance = np.abs(position[:, None] - np.arange(places))
    near = 2 / 3 - distance**2 + distance**3 / 2
    weights = np.where(distance < 1, near, np.maximum(2 - distance, 0) ** 3 / 6)
    seen = (centers > start) & (centers < end)
    result: np.ndarray = (weights * seen[:, None]).astype(np.float32)
    return result
