"""Shortcuts of a detector: what it answers where the brain, or the tumor, can't be seen.

Where a class can still be told with the brain hidden, answers rest in part on something else
(Geirhos et al., Shortcut learning in deep neural networks, 2020). Where a tumor is hidden, its
probability should fall, and should not where as much is hidden elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from falx.evaluation.intervals import Estimate, difference_interval, mean_interval
from falx.evaluation.metrics import score
from falx.image.crop import head_box
from falx.image.render import render
from falx.recipe import Rendering

Answer = Callable[[np.ndarray], np.ndarray]
"""Probabilities, float (n, classes), of views, uint8 (n, size, size)."""

_FRAME = 1 / 16
"""How much of a view is left at each edge, in sides of it."""
_MARGIN = 0.01
"""How far beyond a mask is painted over, in sides of the slice."""
_RADIUS = 3
"""Of the neighborhood that a pixel is painted from, in pixels."""
_BATCH = 256
_UNKNOWN = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class BorderScore:
    """What is told from slices of which only the border is left.

    Attributes:
        n: slices.
        roc_auc: over them.
        full: over the same slices as they are.
    """

    n: int
    roc_auc: Estimate
    full: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "n": self.n,
            "roc_auc": self.roc_auc.as_dict(),
            "full_roc_auc": self.full.as_dict(),
        }


@dataclass(frozen=True)
class HiddenTumors:
    """The mean probability of a tumor in slices that have one, all of it, or not, to be seen.

    Attributes:
        n: slices; all numbers are undefined where there are none.
        of: slices with an outlined tumor; those are left out whose mask touches its mirror image.
        shown: as they are.
        hidden: with the tumor painted over.
        elsewhere: with as much painted over at the mirrored place.
        lost: how much less is left where the tumor is hidden than where another place is.
    """

    n: int
    of: int
    shown: Estimate
    hidden: Estimate
    elsewhere: Estimate
    lost: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        named = ("shown", "hidden", "elsewhere", "lost")
        found = {name: getattr(self, name).as_dict() for name in named}
        return {"n": self.n, "of": self.of, **found}


def borders_of(views: np.ndarray) -> np.ndarray:
    """Views uint8 (n, size, size) with all but a frame blank, of the frame's median grey.

    The frame is the same whatever a view shows: what is blank would speak of the tumor if it
    depended on that.
    """
    size = views.shape[1]
    frame = max(round(_FRAME * size), 1)
    inside = np.zeros((size, size), bool)
    inside[frame:-frame, frame:-frame] = True
    levels = np.median(views[:, ~inside], axis=1).astype(np.uint8)
    borders: np.ndarray = np.where(inside, levels[:, None, None], views)
    return borders


def score_border(
    answer: Answer,
    views: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    probabilities: np.ndarray,
) -> BorderScore | None:
    """Ask for the class of slices of which only the border is left; None where a class has none.

    Args:
        views: uint8 (n, size, size).
        labels: class codes, int (n,).
        groups: int (n,).
        probabilities: of the views as they are, float (n, classes).
    """
    if len(np.unique(labels)) < len(classes):
        return None
    starts = range(0, len(views), _BATCH)
    alone = np.concatenate([answer(borders_of(views[i : i + _BATCH])) for i in starts])
    found, full = (
        score(labels, given, groups, classes).estimates["roc_auc"]
        for given in (alone, probabilities)
    )
    return BorderScore(len(views), found, full)


def hide(pixels: np.ndarray, mask: np.ndarray, rendering: Rendering) -> np.ndarray | None:
    """Views of a slice as it is, with its tumor painted over, and with the mirrored place.

    All three show the same rectangle of the slice.

    Args:
        pixels: float32 (height, width), [0, 1].
        mask: of the tumor, bool of the same shape; not empty.

    Returns:
        uint8 (3, size, size); None where the mirrored place touches the tumor or is off the slice.
    """
    place, head = widened(mask), head_box(pixels)
    other = _mirrored(place, head.left + head.right - 1)
    if other is None:
        return None
    variants = (pixels, painted_over(pixels, place), painted_over(pixels, other))
    return np.stack([render(each, rendering, head) for each in variants])


def widened(mask: np.ndarray) -> np.ndarray:
    """A mask bool (height, width) with a margin, since a tumor shows beyond its outline."""
    radius = max(round(_MARGIN * max(mask.shape)), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def painted_over(pixels: np.ndarray, place: np.ndarray) -> np.ndarray:
    """A slice with a place painted over from around it (Telea, J. Graphics Tools 9, 2004).

    Args:
        pixels: float32 (height, width), [0, 1].
        place: bool (height, width).
    """
    levels = np.rint(pixels * 255).astype(np.uint8)
    filled = cv2.inpaint(levels, place.astype(np.uint8), _RADIUS, cv2.INPAINT_TELEA)
    result: np.ndarray = np.where(place, filled.astype(np.float32) / 255, pixels)
    return result


def _mirrored(place: np.ndarray, across: int) -> np.ndarray | None:
    """A place bool (height, width) on the other side of the head; None where it touches itself.

    Args:
        across: the sum of the numbers of two columns that mirror each other.
    """
    columns = across - np.arange(place.shape[1])
    seen = (columns >= 0) & (columns < place.shape[1])
    other = np.zeros_like(place)
    other[:, seen] = place[:, columns[seen]]
    return None if (other & place).any() or not other.any() else other


def score_hidden(
    answer: Answer, hidden: Sequence[np.ndarray], groups: Sequence[int], *, of: int
) -> HiddenTumors:
    """Ask a detector of two classes for tumors that were hidden.

    Args:
        hidden: of each slice what `hide` gives.
        groups: group of each slice.
        of: slices with an outlined tumor.
    """
    if not hidden:
        return HiddenTumors(0, of, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN)
    starts = range(0, len(hidden), _BATCH)
    given = [answer(np.concatenate(hidden[i : i + _BATCH]))[:, 1] for i in starts]
    chances = np.concatenate(given).reshape(-1, 3)
    shown, covered, elsewhere = (mean_interval(column, groups) for column in chances.T)
    lost = difference_interval(chances[:, 2] - chances[:, 1], groups)
    return HiddenTumors(len(hidden), of, shown, covered, elsewhere, lost)
