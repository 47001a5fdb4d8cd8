"""Regions: which lesions does the map of a localization head point at, and where else does it?

The marks of a map are its local maxima, each with the probability of its cell. A lesion, a
connected part of the masks, is found by a mark whose cell touches it; a mark that touches none is a
false positive. In slices, lesions and maxima are of a slice; in volumes, of the volume, so that
what lies in adjacent slices is one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import label as components
from scipy.ndimage import maximum_filter

from falx.evaluation.free_response import Events, FreeResponseCurve, sensitivity_at
from falx.image.render import Region
from falx.statistics import Estimate, Floats

SLICE_RATES, VOLUME_RATES = (1,), (1, 2, 4)
"""False positives a slice, and a volume, at which sensitivity is given."""

LARGE = 10.0
"""Longest diameter in millimeters from which a lesion is measurable (RANO: Wen et al., J. Clin.
Oncol. 28, 2010)."""

_LEAST = 0.01
"""Probability below which a local maximum is no mark."""
_ADJACENT = np.ones((3, 3, 3), bool)


@dataclass(frozen=True, eq=False)
class MappedSlice:
    """The map of a slice, and where its tumor is.

    Attributes:
        map: probability of each cell to hold tumor, float (rows, columns).
        region: of the slice that the map covers.
        outline: of the tumor, bool (height, width); all False without one.
        volume: that it belongs to; "" for none. Slices of one volume follow each other in order.
        group: code of its group.
        spacing: of its pixels in mm; NaN where unknown.
    """

    map: np.ndarray
    region: Region
    outline: np.ndarray
    volume: str
    group: int
    spacing: float


@dataclass(frozen=True, eq=False)
class RegionScores:
    """Lesions found by the marks of maps, with 95 % confidence intervals over groups.

    Attributes:
        slices, lesions: their number; lesions of single slices.
        sensitivity_in_slices: with at most so many false positives a slice.
        volumes, volume_lesions: their number; lesions of whole volumes.
        sensitivity_in_volumes: with at most so many false positives a volume.
        large_lesions: of 10 mm or more, in volumes of known spacing.
        sensitivity_large: of those, with at most so many false positives a volume.
        curve: of volumes; None without any.
    """

    slices: int
    lesions: int
    sensitivity_in_slices: dict[int, Estimate]
    volumes: int
    volume_lesions: int
    sensitivity_in_volumes: dict[int, Estimate]
    large_lesions: int
    sensitivity_large: dict[int, Estimate]
    curve: FreeResponseCurve | None

    def as_dict(self) -> dict[str, Any]:
        """All but the curve."""
        return {name: value for name, value in vars(self).items() if name != "curve"}


@dataclass(frozen=True, eq=False)
class _Found:
    """Lesions and false positives of some slices or volumes.

    Attributes:
        lesions: the highest mark on each lesion, -inf for none.
        sizes: of each lesion in mm; NaN where unknown.
        others: the other marks.
    """

    lesions: Floats
    sizes: Floats
    others: Floats


def score_regions(slices: Iterable[MappedSlice]) -> RegionScores | None:
    """Score the maps of slices; None without any lesion."""
    by_slice: list[tuple[int, _Found]] = []
    by_volume: list[tuple[int, _Found]] = []
    waiting: list[MappedSlice] = []
    for each in slices:
        if waiting and each.volume != waiting[0].volume:
            by_volume.append((waiting[0].group, _find(waiting)))
            waiting = []
        by_slice.append((each.group, _find([each])))
        if each.volume:
            waiting.append(each)
    if waiting:
        by_volume.append((waiting[0].group, _find(waiting)))
    in_slices, in_volumes = _events(by_slice), _events(by_volume)
    if not in_slices.lesion.any():
        return None
    large = _events(by_volume, least=LARGE)
    return RegionScores(
        slices=len(by_slice),
        lesions=int(in_slices.lesion.sum()),
        sensitivity_in_slices=sensitivity_at([in_slices], SLICE_RATES),
        volumes=len(by_volume),
        volume_lesions=int(in_volumes.lesion.sum()),
        sensitivity_in_volumes=sensitivity_at([in_volumes], VOLUME_RATES),
        large_lesions=int(large.lesion.sum()),
        sensitivity_large=sensitivity_at([large], VOLUME_RATES),
        curve=in_volumes.curve() if by_volume else None,
    )


def _events(found: Sequence[tuple[int, _Found]], least: float = 0.0) -> Events:
    """The events of slices or volumes with the group of each; smaller lesions don't count."""
    codes = {group: code for code, group in enumerate(sorted({group for group, _ in found}))}
    scores, lesion, groups = [np.zeros(0)], [np.zeros(0, bool)], [np.zeros(0, np.int64)]
    units = np.zeros(len(codes))
    for group, each in found:
        lesions = each.lesions[each.sizes >= least] if least else each.lesions
        scores += [lesions, each.others]
        lesion += [np.ones(len(lesions), bool), np.zeros(len(each.others), bool)]
        groups.append(np.full(len(lesions) + len(each.others), codes[group]))
        units[codes[group]] += 1
    return Events.of(np.concatenate(scores), np.concatenate(lesion), np.concatenate(groups), units)


def _find(slices: Sequence[MappedSlice]) -> _Found:
    """The lesions of a slice, or of the slices of a volume, and the marks beside them."""
    maps = np.stack([each.map for each in slices])
    lesions, n = components(np.stack([each.outline for each in slices]), _ADJACENT)
    best = np.full(n + 1, -np.inf)
    others = []
    is_mark = (maps == maximum_filter(maps, size=3, mode="constant")) & (maps >= _LEAST)
    for k, row, column in np.argwhere(is_mark).tolist():
        touched = np.unique(_under(lesions[k], slices[k].region, maps.shape[1:], row, column))
        touched = touched[touched > 0]
        if touched.size:
            best[touched] = np.maximum(best[touched], maps[k, row, column])
        else:
            others.append(maps[k, row, column])
    sizes = [_diameter(lesions, number, slices[0].spacing) for number in range(1, n + 1)]
    return _Found(best[1:], np.array(sizes, float), np.array(others, float))


def _under(
    lesions: np.ndarray, region: Region, shape: tuple[int, ...], row: int, column: int
) -> np.ndarray:
    """The pixels of a slice that a cell of its map covers."""
    parts = []
    for start, length, n, at in (
        (region.top, region.height, shape[0], row),
        (region.left, region.width, shape[1], column),
    ):
        first = start + at * length / n
        parts.append(slice(max(math.floor(first), 0), max(math.ceil(first + length / n), 0)))
    return lesions[parts[0], parts[1]]


def _diameter(lesions: np.ndarray, number: int, spacing: float) -> float:
    """The longest side of a lesion in any slice, in millimeters."""
    sides = []
    for level in lesions:
        points = np.argwhere(level == number)
        if len(points):
            _, size, _ = cv2.minAreaRect(points.astype(np.float32))
            sides.append(max(size) + 1)
    return max(sides) * spacing
