"""Deletion and insertion: does the answer hang on the places that a heat map shows?

After Petsiuk, Das and Saenko (RISE, BMVC 2018). Deletion takes away from a view what its heat map
shows, strongest first, and follows the probability of the answer: the sooner it falls, the truer
the map. Insertion starts from the other end and gives the same back: the sooner the probability
rises, the truer the map. The area under a curve sums it up.

What is deleted gives way to the same place of another slice: the one that looks most alike of those
that the detector gave another answer. So both ends are real slices, and the answer turns between
them. The blurred copy of RISE is no neutral end: networks have been seen to call a blurred head, or
a black square, a tumor (see docs/explain.md).

Two orders stand beside that of the map. A random one is chance. The order of another slice's map
knows where evidence lies as a rule, such as amid the head, and nothing of the slice at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from falx.detect.heat_map import spread
from falx.errors import BadInput
from falx.evaluation.intervals import Estimate, difference_interval, mean_interval
from falx.image.render import Region
from falx.progress import Listener, Progress, silent

STEPS = 8
"""In which a view is deleted or inserted, each as many pixels."""
CELL = 8
"""Pixels of a view that change together, down and across; finer than the places of any map."""
_COARSE = 16  # pixels, down and across, of what views are compared by


@dataclass(frozen=True)
class Curve:
    """The probability of the answer as more and more of the view is changed, mean over slices.

    Attributes:
        points: after each step, from none to all of the pixels.
        area: under the curve, the share of changed pixels from 0 to 1; in [0, 1].
    """

    points: tuple[Estimate, ...]
    area: Estimate

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain values that JSON can hold."""
        return {
            "area": self.area.as_dict(),
            "curve": [point.value for point in self.points],
        }


@dataclass(frozen=True)
class Course:
    """Deletion or insertion, in three orders.

    Attributes:
        by_map: strongest evidence first.
        by_random: places in random order.
        by_other: as the map of another slice has it.
        over_random: area by which the map beats the random order of the same slice; above 0 is
            better, for deletion and for insertion alike.
        over_other: the same against the map of another slice.
    """

    by_map: Curve
    by_random: Curve
    by_other: Curve
    over_random: Estimate
    over_other: Estimate

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain values that JSON can hold."""
        return {name: value.as_dict() for name, value in vars(self).items()}


@dataclass(frozen=True)
class DeletionScores:
    """How much answers hang on what heat maps show.

    Attributes:
        n: slices followed.
        groups: that they make.
    """

    n: int
    groups: int
    deletion: Course
    insertion: Course

    def as_dict(self) -> dict[str, Any]:
        """The scores as plain values that JSON can hold."""
        return {
            "n": self.n,
            "groups": self.groups,
            "deletion": self.deletion.as_dict(),
            "insertion": self.insertion.as_dict(),
        }


def score_deletion(
    views: np.ndarray,
    others: np.ndarray,
    maps: Sequence[np.ndarray],
    answers: Callable[[np.ndarray], np.ndarray],
    asked: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    seed: int = 0,
    listener: Listener = silent,
) -> DeletionScores:
    """Delete and insert what heat maps show; intervals are drawn over groups.

    Args:
        views: uint8 (n, size, size); size is a multiple of 8.
        others: what takes the place of what is deleted, of the same shape; see `most_alike`.
        maps: evidence for the class asked for, each float (rows, columns).
        answers: class probabilities (m, classes) of views uint8 (m, size, size).
        asked: whose probability is followed, class code int (n,).
        groups: group of each, int (n,).
        seed: of the random order.

    Raises:
        BadInput: there are fewer than two slices.
    """
    if len(views) < 2:
        raise BadInput("Deletion and insertion compare heat maps, so they need two slices.")
    rng = np.random.default_rng(seed)
    curves = []
    for number, (view, other, code) in enumerate(
        zip(views, others, np.asarray(asked), strict=True), start=1
    ):
        heat = maps[number - 1], maps[number % len(maps)], rng.random(maps[0].shape)
        orders = [order_of(each, len(view), rng) for each in heat]
        curves.append(_follow(view, other, orders, answers)[..., code])
        listener(Progress("Checking maps", number, len(views)))
    # An axis each for way, order, slice and step.
    deleted, inserted = np.array(curves).transpose(1, 2, 0, 3)
    return DeletionScores(
        n=len(views),
        groups=len(np.unique(np.asarray(groups))),
        deletion=_course(deleted, groups, better=-1),
        insertion=_course(inserted, groups, better=1),
    )


def most_alike(views: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """For each view the one of a pool that looks most alike: int (n,).

    By squared difference of gray levels, coarsely, so that shape and brightness of the head count
    and a lesion hardly does.

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
    """Area under each curve (n, steps + 1), by trapezoids; shares go from 0 to 1."""
    return np.trapezoid(curves, dx=1 / (curves.shape[1] - 1), axis=1)


def order_of(heat: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Rank of each cell of a view, strongest evidence first, ties at random: int (cells, cells).

    Evidence is spread over the view as it is drawn, so that maps of any fineness change as many
    pixels a step.
    """
    cells = size // CELL
    # Evidence fades at the edge, so that it had better be positive.
    evidence = spread(heat - heat.min(), Region(0, 0, cells, cells), (cells, cells)).ravel()
    order = np.lexsort((rng.random(cells**2), -evidence))
    ranks = np.empty(cells**2, np.int64)
    ranks[order] = np.arange(cells**2)
    return ranks.reshape(cells, cells)


def stages(view: np.ndarray, other: np.ndarray, order: np.ndarray) -> np.ndarray:
    """A view that becomes another, cell by cell: uint8 (steps + 1, size, size).

    The two pass over into one another within a cell, so that no edges appear.

    Args:
        order: rank of each cell, the first to change is 0: int (size / 8, size / 8).
    """
    start, end = view.astype(np.float32), other.astype(np.float32)
    passed = []
    for step in range(STEPS + 1):
        changed = (order < round(step / STEPS * order.size)).astype(np.float32)
        share = cv2.resize(changed, view.shape[::-1], interpolation=cv2.INTER_LINEAR)
        passed.append(np.rint(start + share * (end - start)).astype(np.uint8))
    return np.stack(passed)


def _follow(
    view: np.ndarray,
    other: np.ndarray,
    orders: Sequence[np.ndarray],
    answers: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Probabilities of deletion and insertion: (2, orders, steps + 1, classes)."""
    ways = [stages(*ends, order) for ends in ((view, other), (other, view)) for order in orders]
    # All ways have the same two ends.
    found = answers(np.concatenate([ways[0][[0, -1]], *(way[1:-1] for way in ways)]))
    curves = np.empty((2, len(orders), STEPS + 1, found.shape[1]))
    curves[:, :, 1:-1] = found[2:].reshape(2, len(orders), STEPS - 1, -1)
    curves[0, :, 0] = curves[1, :, -1] = found[0]
    curves[0, :, -1] = curves[1, :, 0] = found[1]
    return curves


def _course(curves: np.ndarray, groups: npt.ArrayLike, *, better: int) -> Course:
    """Means over slices of curves (3, n, steps + 1); `better` is the sign of a gain in area."""
    by_map, by_other, by_random = (
        Curve(
            tuple(mean_interval(step, groups) for step in way.T), mean_interval(area(way), groups)
        )
        for way in curves
    )
    own, others, random = (better * area(way) for way in curves)
    return Course(
        by_map,
        by_random,
        by_other,
        over_random=difference_interval(own - random, groups),
        over_other=difference_interval(own - others, groups),
    )
