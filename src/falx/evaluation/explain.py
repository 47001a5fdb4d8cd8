"""Whether heat maps are true: do they lie where the tumor is?

Masks say where it is, so this is for phantoms, and for slices that somebody has outlined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from falx.detect.heat_map import HeatMap
from falx.errors import BadInput
from falx.evaluation.intervals import Estimate, mean_interval


@dataclass(frozen=True)
class MapScores:
    """How well heat maps agree with masks, over slices with a tumor.

    Attributes:
        n: slices with a mask.
        pointing: share of them whose peak lies on the tumor (the pointing game, Zhang et al., Int.
            J. Comput. Vis. 126, 2018, without its tolerance of 15 pixels).
        pointing_chance: the same of a pixel drawn at random from those that the network sees.
        distance: from the peak to the tumor, 0 on it, in sides of the view; a map without a peak
            counts as a pixel drawn at random.
        distance_chance: the same of such a pixel.
        inside: share of the evidence that lies inside the tumor (the energy-based pointing game,
            Wang et al., Score-CAM, CVPR Workshops 2020); 0 where there is none.
        inside_chance: the same of evidence spread evenly.
    """

    n: int
    pointing: Estimate
    pointing_chance: float
    distance: Estimate
    distance_chance: float
    inside: Estimate
    inside_chance: float

    def as_dict(self) -> dict[str, Any]:
        """The scores as plain values that JSON can hold."""
        return {
            "n": self.n,
            "pointing": {**self.pointing.as_dict(), "chance": self.pointing_chance},
            "distance": {**self.distance.as_dict(), "chance": self.distance_chance},
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
    hit, distance, by_chance, inside, even = compared.T
    return MapScores(
        n=len(maps),
        pointing=mean_interval(hit, groups),
        pointing_chance=float(even.mean()),
        distance=mean_interval(distance, groups),
        distance_chance=float(by_chance.mean()),
        inside=mean_interval(inside, groups),
        inside_chance=float(even.mean()),
    )


def _compare(heat_map: HeatMap, mask: np.ndarray) -> tuple[float, float, float, float, float]:
    """Hit, distance, distance by chance, evidence inside, and inside by chance."""
    if mask.shape != heat_map.shape:
        raise BadInput(f"A mask of {mask.shape} is not that of a slice of {heat_map.shape}.")
    if not mask.any():
        raise BadInput("A mask of a slice with a tumor is empty; leave it out.")
    region, peak, evidence = heat_map.region, heat_map.peak, heat_map.on_slice()
    away = distance_transform_edt(~mask, sampling=(1 / region.height, 1 / region.width))
    seen = (slice(max(region.top, 0), region.bottom), slice(max(region.left, 0), region.right))
    by_chance = float(away[seen].mean())
    even = float(mask[seen].mean())
    if peak is None:
        return 0.0, by_chance, by_chance, 0.0, even
    inside = float(evidence[mask].sum() / evidence.sum())
    return float(mask[peak]), float(away[peak]), by_chance, inside, even
