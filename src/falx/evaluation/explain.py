"""Whether heat maps are true: do they lie where the tumor is?

Masks say where it is, so this is for phantoms, and for slices that somebody has outlined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.detect.heat_map import HeatMap
from falx.errors import BadInput
from falx.evaluation.intervals import Estimate, mean_interval


@dataclass(frozen=True)
class MapScores:
    """How well heat maps agree with masks, over slices with a tumor.

    Attributes:
        n: slices with a mask.
        pointing: share of them whose strongest place touches the tumor (the pointing game, Zhang et
            al., Int. J. Comput. Vis. 126, 2018).
        pointing_chance: the same of a place drawn at random from those that the network sees.
        inside: share of the evidence that lies inside the tumor (the energy-based pointing game,
            Wang et al., Score-CAM, CVPR Workshops 2020); 0 where there is none.
        inside_chance: the same of evidence spread evenly.
    """

    n: int
    pointing: Estimate
    pointing_chance: float
    inside: Estimate
    inside_chance: float

    def as_dict(self) -> dict[str, Any]:
        """The scores as plain values that JSON can hold."""
        return {
            "n": self.n,
            "pointing": {**self.pointing.as_dict(), "chance": self.pointing_chance},
            "inside": {**self.inside.as_dict(), "chance": self.inside_chance},
        }


def score_maps(
    maps: Sequence[HeatMap], masks: Sequence[np.ndarray], groups: npt.ArrayLike
) -> MapScores:
    """Compare heat maps with the masks of tumors; intervals are drawn over groups.

    Args:
        maps: evidence for a tumor.
        masks: of the same slices, bool (height, width); each holds some tumor.
        groups: group of each slice, int (n,).

    Raises:
        BadInput: none, a mask of another shape than its slice, or an empty one.
    """
    if not maps:
        raise BadInput("No slice has both a tumor and a mask; masks lie in FOLDER/<path of slice>.")
    compared = np.array([_compare(*pair) for pair in zip(maps, masks, strict=True)])
    hit, chance, inside, even = compared.T
    return MapScores(
        n=len(maps),
        pointing=mean_interval(hit, groups),
        pointing_chance=float(chance.mean()),
        inside=mean_interval(inside, groups),
        inside_chance=float(even.mean()),
    )


def _compare(heat_map: HeatMap, mask: np.ndarray) -> tuple[float, float, float, float]:
    if mask.shape != heat_map.shape:
        raise BadInput(f"A mask of {mask.shape} is not that of a slice of {heat_map.shape}.")
    if not mask.any():
        raise BadInput("A mask of a slice with a tumor is empty; leave it out.")
    touched = _touched(heat_map, mask)
    strongest = int(np.argmax(heat_map.values))
    hit = bool(touched.ravel()[strongest]) and heat_map.values.max() > 0
    evidence = heat_map.on_slice()
    total = float(evidence.sum())
    inside = float(evidence[mask].sum()) / total if total else 0.0
    seen = np.zeros_like(mask)
    region = heat_map.region
    seen[max(region.top, 0) : region.bottom, max(region.left, 0) : region.right] = True
    return float(hit), float(touched.mean()), inside, float(mask[seen].sum() / seen.sum())


def _touched(heat_map: HeatMap, mask: np.ndarray) -> np.ndarray:
    """Which places hold some of the mask: bool, of the shape of the heat map's values."""
    rows, columns = heat_map.values.shape
    region = heat_map.region
    down, across = np.nonzero(mask)
    row = np.floor((down + 0.5 - region.top) / region.height * rows).astype(int)
    column = np.floor((across + 0.5 - region.left) / region.width * columns).astype(int)
    seen = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    touched = np.zeros((rows, columns), bool)
    touched[row[seen], column[seen]] = True
    return touched
