"""Localization: do heat maps lie where the tumor is, by masks of tumors?

Masks come with phantoms, and with slices whose tumor somebody has outlined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from falx.detect.heat_map import HeatMap
from falx.errors import BadInput
from falx.statistics import Estimate, mean_interval

_SAME_TUMOR = 0.02
"""Gap between parts of one tumor, in sides of the view."""


@dataclass(frozen=True)
class LocalizationScores:
    """How well heat maps agree with masks, over slices with a tumor.

    Each score stands beside what chance would give.

    Attributes:
        n: slices with a mask.
        pointing_game: share of them whose peak lies on the tumor (Zhang et al., Int. J. Comput.
            Vis. 126, 2018, without its tolerance of 15 pixels).
        pointing_game_chance: of a pixel drawn at random from those that the network sees.
        within_hull: share of them whose peak lies within the convex hull of a tumor: masks of
            enhancing tumor leave out the core that it surrounds.
        within_hull_chance: of such a pixel.
        peak_distance: from the peak to the tumor, 0 on it, in sides of the view; a map without a
            peak counts as a pixel drawn at random.
        peak_distance_chance: of such a pixel.
        energy_inside: share of the evidence that lies inside the tumor (the energy-based pointing
            game, Wang et al., Score-CAM, CVPR Workshops 2020); 0 where there is none.
        energy_inside_chance: of evidence distributed evenly.
    """

    n: int
    pointing_game: Estimate
    pointing_game_chance: float
    within_hull: Estimate
    within_hull_chance: float
    peak_distance: Estimate
    peak_distance_chance: float
    energy_inside: Estimate
    energy_inside_chance: float


def score_localization(
    heat_maps: Sequence[HeatMap], masks: Sequence[np.ndarray], groups: npt.ArrayLike
) -> LocalizationScores:
    """Compare heat maps with the masks of tumors; intervals are over groups.

    Args:
        heat_maps: evidence for a tumor.
        masks: of the same slices, bool (height, width); each holds some tumor.
        groups: group of each slice, int (n,).

    Raises:
        BadInput: none, a mask of another shape than its slice, or an empty one.
    """
    if not heat_maps:
        raise BadInput("No slice has both a tumor and a mask; masks lie in FOLDER/<path of slice>.")
    compared = np.array([_compare(*pair) for pair in zip(heat_maps, masks, strict=True)])
    hit, within, within_chance, distance, distance_chance, inside, inside_chance = compared.T
    return LocalizationScores(
        n=len(heat_maps),
        pointing_game=mean_interval(hit, groups),
        pointing_game_chance=float(inside_chance.mean()),
        within_hull=mean_interval(within, groups),
        within_hull_chance=float(within_chance.mean()),
        peak_distance=mean_interval(distance, groups),
        peak_distance_chance=float(distance_chance.mean()),
        energy_inside=mean_interval(inside, groups),
        energy_inside_chance=float(inside_chance.mean()),
    )


def _compare(heat_map: HeatMap, mask: np.ndarray) -> tuple[float, ...]:
    """Hit, within a hull, that by chance, distance, that by chance, inside, and that by chance."""
    if mask.shape != heat_map.shape:
        raise BadInput(f"A mask of {mask.shape} does not fit a slice of {heat_map.shape}.")
    if not mask.any():
        raise BadInput("The mask of a slice with a tumor is empty; leave it out.")
    region, peak, evidence = heat_map.region, heat_map.peak, heat_map.on_slice()
    away = distance_transform_edt(~mask, sampling=(1 / region.height, 1 / region.width))
    seen = (slice(max(region.top, 0), region.bottom), slice(max(region.left, 0), region.right))
    distance_chance = float(away[seen].mean())
    inside_chance = float(mask[seen].mean())
    hulls = _hulls(mask, round(_SAME_TUMOR * max(region.height, region.width)))
    hull_chance = float(hulls[seen].mean())
    if peak is None:
        return 0.0, 0.0, hull_chance, distance_chance, distance_chance, 0.0, inside_chance
    inside = float(evidence[mask].sum() / evidence.sum())
    hit, within = float(mask[peak]), float(hulls[peak])
    return hit, within, hull_chance, float(away[peak]), distance_chance, inside, inside_chance


def _hulls(mask: np.ndarray, gap: int) -> np.ndarray:
    """The convex hulls of the tumors of a mask: bool (height, width).

    Args:
        gap: distance in pixels up to which parts are of one tumor, as those of a thin rim are.
    """
    kernel = np.ones((2 * (gap // 2) + 1,) * 2, np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(mask.astype(np.uint8), kernel))
    filled = np.zeros(mask.shape, np.uint8)
    for label in range(1, count):
        rows, columns = np.nonzero(mask & (labels == label))
        points = np.column_stack([columns, rows]).astype(np.int32)
        cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled.astype(bool) | mask
