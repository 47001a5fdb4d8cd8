"""Deletion and insertion: does a prediction rest on what its heat map shows?

After Petsiuk, Das and Saenko (RISE, BMVC 2018). Deletion removes the pixels of a view in the order
of its heat map, strongest first, and follows the probability of the predicted class: the sooner it
falls, the more faithful the map. Insertion starts from the other end and restores the same pixels:
the sooner the probability rises, the more faithful the map. Each curve is summarized by its area.

A deleted pixel is replaced by the same pixel of the nearest slice with another prediction. So both
ends are real slices, and the prediction changes between them. The blurred copy of RISE is no
neutral baseline: networks have been seen to call a blurred head, or a black square, a tumor (see
docs/heat-maps.md).

Two orders serve as baselines. A random one is chance. The order of another slice's map shows the
average location of evidence, nothing specific to this slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from falx.detect.heat_map import upsample
from falx.errors import BadInput
from falx.image.render import Region
from falx.progress import Listener, Progress, silent
from falx.statistics import Estimate, difference_interval, mean_interval

STEPS = 8
"""Steps in which a view is deleted or inserted, of equal numbers of pixels."""
CELL = 8
"""Side in pixels of the cells that change together; finer than the resolution of any map."""
_COARSE = 16  # side in pixels at which views are compared


@dataclass(frozen=True)
class Curve:
    """Probability of the predicted class as more and more pixels are replaced; mean over slices.

    Attributes:
        points: after each step, from none to all of the pixels.
        area: under the curve, over the share of replaced pixels from 0 to 1; in [0, 1].
    """

    points: tuple[Estimate, ...]
    area: Estimate


@dataclass(frozen=True)
class PerturbationCurves:
    """Deletion or insertion, in three orders.

    Attributes:
        by_map: strongest evidence first.
        by_random: cells in random order.
        by_other: in the order of another slice's map.
        gain_over_random: area by which the map beats the random order of the same slice; above 0 is
            better, for deletion and for insertion alike.
        gain_over_other: the same against the map of another slice.
    """

    by_map: Curve
    by_random: Curve
    by_other: Curve
    gain_over_random: Estimate
    gain_over_other: Estimate


@dataclass(frozen=True)
class DeletionScores:
    """How far predictions rest on what heat maps show.

    Attributes:
        n: slices.
        groups: groups among them.
    """

    n: int
    groups: int
    deletion: PerturbationCurves
    insertion: PerturbationCurves


def score_deletion(
    views: np.ndarray,
    replacements: np.ndarray,
    heat_maps: Sequence[np.ndarray],
    predict: Callable[[np.ndarray], np.ndarray],
    codes: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    seed: int = 0,
    listener: Listener = silent,
) -> DeletionScores:
    """Delete and insert what heat maps show; intervals are over groups.

    Args:
        views: uint8 (n, size, size); size is a multiple of 8.
        replacements: views whose pixels replace deleted ones, like `views`; see `nearest_views`.
        heat_maps: evidence for the predicted class, each float (rows, columns).
        predict: class probabilities (m, classes) of views uint8 (m, size, size).
        codes: class whose probability is followed, int (n,).
        groups: group of each, int (n,).
        seed: of the random order.

    Raises:
        BadInput: there are fewer than two slices.
    """
    if len(views) < 2:
        raise BadInput("Deletion and insertion compare heat maps, so they need two slices.")
    rng = np.random.default_rng(seed)
    curves = []
    for number, (view, replacement, code) in enumerate(
        zip(views, replacements, np.asarray(codes), strict=True), start=1
    ):
        own, other = heat_maps[number - 1], heat_maps[number % len(heat_maps)]
        heat = own, other, rng.random(own.shape)
        orders = [order_of(each, len(view), rng) for each in heat]
        curves.append(_follow(view, replacement, orders, predict)[..., code])
        listener(Progress("Checking maps", number, len(views)))
    # Axes: direction, order, slice, step.
    deleted, inserted = np.array(curves).transpose(1, 2, 0, 3)
    return DeletionScores(
        n=len(views),
        groups=len(np.unique(np.asarray(groups))),
        deletion=_summarized(deleted, groups, better=-1),
        insertion=_summarized(inserted, groups, better=1),
    )


def nearest_views(views: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """For each view the nearest one of a pool: int (n,).

    By squared difference of gray levels at low resolution, so that shape and brightness of the head
    count and a lesion hardly does.

    Args:
        views: uint8 (n, size, size).
        pool: uint8 (m, size, size), m at least 1.
    """
    coarse = [
        np.stack([cv2.resize(v, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA) for v in some])
        .reshape(len(some), -1)
        .astype(np.float32)
        for some in (views, pool)
    ]
    squares = [(each**2).sum(axis=1) for each in coarse]
    # The squares of the views themselves are the same for all of the pool.
    nearest: np.ndarray = (squares[1] - 2 * coarse[0] @ coarse[1].T).argmin(axis=1)
    return nearest


def area(curves: np.ndarray) -> np.ndarray:
    """Area under each curve (n, steps + 1), by the trapezoidal rule, over shares from 0 to 1."""
    return np.trapezoid(curves, dx=1 / (curves.shape[1] - 1), axis=1)


def order_of(heat: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Rank of each cell of a view, strongest evidence first, ties at random: int (cells, cells).

    Evidence is upsampled to the view as for display, so that maps of any resolution change equal
    numbers of pixels in a step.
    """
    cells = size // CELL
    # Evidence fades at the edge, so that it had better be positive.
    evidence = upsample(heat - heat.min(), Region(0, 0, cells, cells), (cells, cells)).ravel()
    order = np.lexsort((rng.random(cells**2), -evidence))
    ranks = np.empty(cells**2, np.int64)
    ranks[order] = np.arange(cells**2)
    return ranks.reshape(cells, cells)


def blend_steps(view: np.ndarray, other: np.ndarray, order: np.ndarray) -> np.ndarray:
    """A view that becomes another, cell by cell: uint8 (steps + 1, size, size).

    The two are blended within a cell, so that no edges appear.

    Args:
        order: rank of each cell, the first to change is 0: int (size / 8, size / 8).
    """
    start, end = view.astype(np.float32), other.astype(np.float32)
    steps = []
    for step in range(STEPS + 1):
        changed = (order < round(step / STEPS * order.size)).astype(np.float32)
        share = cv2.resize(changed, view.shape[::-1], interpolation=cv2.INTER_LINEAR)
        steps.append(np.rint(start + share * (end - start)).astype(np.uint8))
    return np.stack(steps)


def _follow(
    view: np.ndarray,
    other: np.ndarray,
    orders: Sequence[np.ndarray],
    predict: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Probabilities of deletion and insertion: (2, orders, steps + 1, classes)."""
    paths = [
        blend_steps(*ends, order) for ends in ((view, other), (other, view)) for order in orders
    ]
    # All paths have the same two ends.
    found = predict(np.concatenate([paths[0][[0, -1]], *(path[1:-1] for path in paths)]))
    curves = np.empty((2, len(orders), STEPS + 1, found.shape[1]))
    curves[:, :, 1:-1] = found[2:].reshape(2, len(orders), STEPS - 1, -1)
    curves[0, :, 0] = curves[1, :, -1] = found[0]
    curves[0, :, -1] = curves[1, :, 0] = found[1]
    return curves


def _summarized(curves: np.ndarray, groups: npt.ArrayLike, *, better: int) -> PerturbationCurves:
    """Means over slices of curves (3, n, steps + 1); `better` is the sign of a gain in area."""
    by_map, by_other, by_random = (
        Curve(
            tuple(mean_interval(step, groups) for step in way.T), mean_interval(area(way), groups)
        )
        for way in curves
    )
    own, others, random = (better * area(way) for way in curves)
    return PerturbationCurves(
        by_map,
        by_random,
        by_other,
        gain_over_random=difference_interval(own - random, groups),
        gain_over_other=difference_interval(own - others, groups),
    )
