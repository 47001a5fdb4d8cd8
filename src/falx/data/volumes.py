"""Where slices lie in their volume: order, level, region of the head, and one box of the head.

The region comes from the cross-section of the head alone, so that it holds without a spacing, and
with a wrong one. From the vertex to its widest level the head is nearly half an ellipsoid, so the
area there tells the depth: area / widest = 1 - (1 - depth)^2, with the depth in units of the
distance between both. In the 20 whole heads of SynthSeg's label maps (Billot et al., Medical Image
Analysis 86, 2023), that is 88 mm (76 to 99); more than half of the cross-section is brain at depths
0.35 to 1.25, eyes lie at 1.0 to 1.5, and the cerebellum ends at 1.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from falx.image.crop import Box

Region = Literal["below the brain", "skull base", "brain", "vertex", ""]
"""What an axial slice shows besides scalp and skull; empty where that can't be told."""

REPEATED = "another time point, echo or copy at the position of a slice before it"
"""Why a slice of a volume is left out."""

_UNKNOWN: tuple[Region, ...] = ("",)

_SAME_POSITION = 0.05
"""Distance in mm, at most, between slices at one position."""

VERTEX_DEPTH, SKULL_BASE_DEPTH, BRAIN_END_DEPTH = 0.3, 1.0, 1.7

_FLAT = 0.97
"""Area, relative to the widest, above which it tells no depth."""

_STEEPEST_TOP = 0.8
"""Largest area of the uppermost slice, relative to the widest, from which depths are fitted."""

_TAPERED = 0.25, 0.34
"""Largest areas, relative to the widest, of the lowest slice of a brain without its head, and of a
slice a thirtieth of the volume above it: a lowest slice that is cut alone must not decide."""

_STRIPPED_BRAIN = 0.45
"""Least area, relative to the widest, of a slice of such a brain that counts as brain."""

_MIN_SLICES = 8


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the slices of one volume lie, in the order that they were given in.

    Attributes:
        levels: relative height among the slices that show the head, 0 the lowest and 1 the highest
            of them, float (n,); 0 below and 1 above these.
        regions: of the head, (n,).
        head: the box around the head in all slices; None where none shows one.
        repeated: whether another slice before it lies at the same position, bool (n,).
    """

    levels: np.ndarray
    regions: tuple[Region, ...]
    head: Box | None
    repeated: np.ndarray


def place(
    positions: np.ndarray,
    areas: np.ndarray,
    extents: Sequence[Box | None],
    *,
    axial: bool,
    order: np.ndarray | None = None,
) -> Placement:
    """Place the slices of one volume.

    Args:
        positions: along the normal of the plane, in mm, float (n,).
        areas: fraction of each slice that the head fills, float (n,).
        extents: box around the head in each slice.
        axial: whether the slices are; others have no region.
        order: which of several slices of one position comes first, such as the time, (n,).
    """
    rank = np.arange(len(positions)) if order is None else order
    repeated = _repeated(positions, rank)
    kept = np.flatnonzero(~repeated)
    levels = _levels(positions, areas, kept)
    regions = _regions(levels, areas, kept) if axial else _UNKNOWN * len(positions)
    # Repeated slices are not shown, so they must not change what is.
    boxes = [box for row in kept.tolist() if (box := extents[row]) is not None]
    return Placement(levels, regions, _around(boxes) if boxes else None, repeated)


def depths(levels: np.ndarray, areas: np.ndarray) -> np.ndarray | None:
    """How far below the vertex slices lie, in units of the distance to the widest level.

    Args:
        levels: ascending, float (n,).
        areas: fraction of each slice that the head fills, float (n,).

    Returns:
        float (n,); None where slices are too few, or too alike to tell.
    """
    if len(levels) < _MIN_SLICES or not areas.any():
        return None
    smooth = _smoothed(areas)
    widest = _widest(smooth)
    upper = np.clip(smooth[widest:] / smooth[widest], 0, 1)
    told = np.flatnonzero(upper < _FLAT)
    if upper[-1] > _STEEPEST_TOP or len(told) < 3:
        return None
    slope, offset = np.polyfit(levels[widest:][told], 1 - np.sqrt(1 - upper[told]), 1)
    if slope >= 0:
        return None
    result: np.ndarray = slope * levels + offset
    return result


def _levels(positions: np.ndarray, areas: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The level of each slice, by those kept that show the head, or by all kept if none does."""
    shows_head = kept[areas[kept] > 0]
    heights = positions[shows_head if len(shows_head) else kept]
    levels: np.ndarray = (positions - heights.min()) / (float(np.ptp(heights)) or 1.0)
    return levels.clip(0, 1)


def _regions(levels: np.ndarray, areas: np.ndarray, kept: np.ndarray) -> tuple[Region, ...]:
    """The region of each slice; those kept that show a head decide for the others near them."""
    shows_head = kept[areas[kept] > 0]
    ascending = shows_head[np.argsort(levels[shows_head], kind="stable")]
    depth = depths(levels[ascending], areas[ascending])
    if depth is None:
        return _UNKNOWN * len(levels)
    relative = areas[ascending] / areas[ascending].max()
    if relative[0] < _TAPERED[0] and relative[max(1, len(relative) // 30)] < _TAPERED[1]:
        named = [_region_of_brain(*pair) for pair in zip(depth, relative, strict=True)]
    else:
        named = [_region(value) for value in depth]
    return tuple(named[number] for number in _nearest(levels, levels[ascending]))


def _nearest(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """For each value, the number of the nearest of several ascending ones, the lower of two."""
    above = np.searchsorted(ascending, values).clip(1, len(ascending) - 1)
    is_lower = values - ascending[above - 1] <= ascending[above] - values
    nearest: np.ndarray = above - is_lower
    return nearest


def _region(depth: float) -> Region:
    if depth < VERTEX_DEPTH:
        return "vertex"
    if depth < SKULL_BASE_DEPTH:
        return "brain"
    return "skull base" if depth < BRAIN_END_DEPTH else "below the brain"


def _region_of_brain(depth: float, area: float) -> Region:
    """The region in a volume that shows the brain alone, tapered at both ends."""
    if depth < VERTEX_DEPTH:
        return "vertex"
    return "brain" if area >= _STRIPPED_BRAIN else "skull base"


def _repeated(positions: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Whether another slice comes first at the same position.

    Positions are the same within `_SAME_POSITION`, or within a tenth of the spacing where that is
    less, as in a file that states it in a wrong unit. The spacing is the mean of the distances
    between neighbors, each weighted by itself, so that it does not matter how many slices lie
    nearly at one position.
    """
    ascending = np.argsort(positions, kind="stable")
    distances = np.diff(positions[ascending])
    spacing = float((distances**2).sum()) / (float(distances.sum()) or 1.0)
    tolerance = min(_SAME_POSITION, 0.1 * spacing)
    steps = np.concatenate([[True], distances > tolerance])
    place = np.empty(len(positions), np.int64)
    place[ascending] = np.cumsum(steps)
    by_rank = np.argsort(rank, kind="stable")
    _, first = np.unique(place[by_rank], return_index=True)
    repeated = np.ones(len(positions), bool)
    repeated[by_rank[first]] = False
    return repeated


def _smoothed(areas: np.ndarray) -> np.ndarray:
    """Areas averaged over a fortieth of the volume on both sides, at least one slice."""
    reach = max(1, len(areas) // 40)
    padded = np.pad(areas, reach, mode="edge")
    return np.convolve(padded, np.full(2 * reach + 1, 1 / (2 * reach + 1)), "valid")


def _widest(areas: np.ndarray) -> int:
    """The uppermost level at which the head is about as wide as anywhere.

    A neck and jaw further down may be wider still.
    """
    best, most = len(areas) - 1, float(areas[-1])
    for row in range(len(areas) - 1, -1, -1):
        if areas[row] > most:
            best, most = row, float(areas[row])
        elif areas[row] < _FLAT * most and most >= 0.9 * float(areas.max()):
            break
    return best


def _around(boxes: Sequence[Box]) -> Box:
    """The box around all but, on each side, the fortieth of them that reach furthest.

    Of eight or more, at least one is left out: an artifact in one slice would widen the box.
    """
    edges = np.sort(np.array([[box.top, box.left, box.bottom, box.right] for box in boxes]), axis=0)
    left_out = max(1, len(boxes) // 40) if len(boxes) >= _MIN_SLICES else 0
    top, left = edges[left_out, :2]
    bottom, right = edges[-1 - left_out, 2:]
    return Box(int(top), int(left), int(bottom), int(right))
