"""Heat maps of findings: the evidence at each position of a slice."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from falx.image.crop import Box
from falx.image.render import Region

_LIKELY = 0.5
"""Probability from which a cell is part of a region."""


@dataclass(frozen=True)
class TumorRegion:
    """A part of a slice in which a localization head finds tumor.

    Attributes:
        box: in pixels of the slice.
        probability: of its most likely cell to hold tumor; not calibrated.
    """

    box: Box
    probability: float


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Evidence for a class.

    Attributes:
        values: contribution of each position of the network's last feature map to the logit of the
            class, float32 (rows, columns); see `localizes`.
        region: the part of the slice that the network sees.
        shape: of the slice, (height, width).
        localizes: whether the positions are cells of a localization head, and the values their
            probabilities to hold tumor.
    """

    values: np.ndarray
    region: Region
    shape: tuple[int, int]
    localizes: bool = False

    def on_slice(self) -> np.ndarray:
        """Evidence at each pixel of the slice: float32 (height, width).

        Evidence against the class counts as 0, as do pixels outside the region. Not cached, since
        thousands of findings would fill the memory.
        """
        return upsample(np.maximum(self.values, 0), self.region, self.shape)

    @property
    def peak(self) -> tuple[int, int] | None:
        """Row and column of the pixel with the strongest evidence; None without evidence."""
        evidence = self.on_slice()
        if evidence.max() <= 0:
            return None
        row, column = np.unravel_index(np.argmax(evidence), self.shape)
        return int(row), int(column)

    @property
    def extent(self) -> Box | None:
        """The box around all evidence of at least half the maximum; None without evidence."""
        evidence = self.on_slice()
        maximum = evidence.max()
        if maximum <= 0:
            return None
        rows, columns = np.nonzero(evidence >= maximum / 2)
        return Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)

    @property
    def regions(self) -> tuple[TumorRegion, ...]:
        """Adjacent cells that are more likely tumor than not, the likeliest region first.

        None where the head does not localize.
        """
        if not self.localizes:
            return ()
        n, labels = cv2.connectedComponents((self.values >= _LIKELY).astype(np.uint8))
        found = [
            TumorRegion(self._box(labels == label), float(self.values[labels == label].max()))
            for label in range(1, n)
        ]
        return tuple(sorted(found, key=lambda region: -region.probability))

    def _box(self, cells: np.ndarray) -> Box:
        """The box around some cells in the slice; at least a pixel, and inside of it."""
        edges = []
        for axis, start, length in (
            (0, self.region.top, self.region.height),
            (1, self.region.left, self.region.width),
        ):
            found = np.flatnonzero(cells.any(axis=1 - axis))
            scale, end = length / cells.shape[axis], self.shape[axis]
            first = min(max(round(start + found[0] * scale), 0), end - 1)
            last = min(max(round(start + (found[-1] + 1) * scale), first + 1), end)
            edges.append((first, last))
        (top, bottom), (left, right) = edges
        return Box(top, left, bottom, right)


def upsample(values: np.ndarray, region: Region, shape: tuple[int, int]) -> np.ndarray:
    """Values upsampled to the pixels of a slice: float32 (height, width), 0 outside the region.

    By cubic B-splines (Unser, IEEE Signal Process. Mag. 16, 1999), which smooth more than linear
    interpolation, so that the maximum can lie between two positions; see docs/heat-maps.md for the
    effect on localization.

    Args:
        values: float (rows, columns), on an even grid over the region.
        shape: (height, width).
    """
    down = _weights(shape[0], region.top, region.bottom, values.shape[0])
    across = _weights(shape[1], region.left, region.right, values.shape[1])
    result: np.ndarray = down @ values @ across.T
    return result


def _weights(pixels: int, start: int, end: int, positions: int) -> np.ndarray:
    """The weight of each position at each pixel along an axis: float32 (pixels, positions).

    Positions are evenly spaced from `start` to `end`; pixels outside have no weights. Weights of a
    pixel sum to 1, and to less towards the ends, since nothing is known beyond them.
    """
    centers = np.arange(pixels) + 0.5
    position = (centers - start) / (end - start) * positions - 0.5
    distance = np.abs(position[:, None] - np.arange(positions))
    near = 2 / 3 - distance**2 + distance**3 / 2
    weights = np.where(distance < 1, near, np.maximum(2 - distance, 0) ** 3 / 6)
    is_inside = (centers > start) & (centers < end)
    result: np.ndarray = (weights * is_inside[:, None]).astype(np.float32)
    return result
