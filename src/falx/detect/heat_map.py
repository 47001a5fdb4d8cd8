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
        (height, width), (rows, columns), region = self.shape, self.values.shape, self.region
        down = _weights(height, region.top, region.bottom, rows)
        across = _weights(width, region.left, region.right, columns)
        spread: np.ndarray = down @ np.maximum(self.values, 0) @ across.T
        return spread

    @property
    def peak(self) -> tuple[int, int] | None:
        """Row and column of the middle of the place of strongest evidence; None without any."""
        if self.values.max() <= 0:
            return None
        (rows, columns), region = self.values.shape, self.region
        row, column = np.unravel_index(np.argmax(self.values), self.values.shape)
        down = int(region.top + (row + 0.5) * region.height / rows)
        across = int(region.left + (column + 0.5) * region.width / columns)
        # What a view shows beyond the slice is background, and so is what lies nearest.
        return min(max(down, 0), self.shape[0] - 1), min(max(across, 0), self.shape[1] - 1)

    @property
    def extent(self) -> Box | None:
        """The box around all evidence of at least half the strongest; None where there is none."""
        evidence = self.on_slice()
        strongest = evidence.max()
        if strongest <= 0:
            return None
        rows, columns = np.nonzero(evidence >= strongest / 2)
        return Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)


def _weights(pixels: int, start: int, end: int, places: int) -> np.ndarray:
    """How much each place counts at each pixel, linear between their centers: (pixels, places).

    Places part the stretch from `start` to `end` evenly; pixels beyond it see none.
    """
    centers = np.arange(pixels) + 0.5
    position = ((centers - start) / (end - start) * places - 0.5).clip(0, places - 1)
    weights = np.maximum(1 - np.abs(position[:, None] - np.arange(places)), 0)
    seen = (centers > start) & (centers < end)
    result: np.ndarray = (weights * seen[:, None]).astype(np.float32)
    return result
