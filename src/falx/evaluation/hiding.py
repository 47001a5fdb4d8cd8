"""Shortcuts of a detector: what it answers where the brain, or the tumor, can't be seen.

Where a class can still be told with the brain hidden, answers rest in part on something else
(Geirhos et al., Shortcut learning in deep neural networks, 2020). Where a tumor is hidden, its
probability should fall, and should not where as much is hidden elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from falx.evaluation.intervals import Estimate, difference_interval, mean_interval
from falx.evaluation.metrics import score
from falx.image.crop import background_level, head_box, head_mask
from falx.image.render import render
from falx.recipe import Rendering

_RIM = 1 / 16
"""How much of the head's outside is left, in sides of the view: scalp and skull, as a rule."""
_MARGIN = 0.01
"""How far beyond a mask is painted over, in sides of the slice."""
_RADIUS = 3
"""Of the neighborhood that a pixel is painted from, in pixels."""


@dataclass(frozen=True)
class BorderScore:
    """What is told from slices of which only the border is left.

    Attributes:
        roc_auc: over those slices.
        full: over the same slices as they are.
    """

    roc_auc: Estimate
    full: Estimate

    @property
    def telling(self) -> bool:
        """Whether the border tells more than chance."""
        return self.roc_auc.low > 0.5

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"roc_auc": self.roc_auc.as_dict(), "full_roc_auc": self.full.as_dict()}


@dataclass(frozen=True)
class HiddenTumors:
    """The mean probability of a tumor in slices that have one, all of it, or not, to be seen.

    Attributes:
        n: slices; those whose mirrored mask touches the tumor are left out.
        shown: as they are.
        hidden: with the tumor painted over.
        elsewhere: with as much painted over at the mirrored place.
        lost: how much less is left where the tumor is hidden than where another place is.
    """

    n: int
    shown: Estimate
    hidden: Estimate
    elsewhere: Estimate
    lost: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        named = ("shown", "hidden", "elsewhere", "lost")
        return {"n": self.n, **{name: getattr(self, name).as_dict() for name in named}}


def border_of(view: np.ndarray) -> np.ndarray:
    """A view uint8 (size, size) with all but the head's rim and what surrounds it blank."""
    grey = view.astype(np.float32) / 255
    radius = max(round(_RIM * len(view)), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # What lies beyond the view is no head.
    inside = cv2.erode(
        head_mask(grey).astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    level = np.uint8(round(255 * background_level(grey)))
    border: np.ndarray = np.where(inside > 0, level, view)
    return border


def score_border(
    answer: Callable[[np.ndarray], np.ndarray],
    views: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    probabilities: np.ndarray,
) -> BorderScore:
    """Ask a detector for the class of slices of which only the border is left.

    Args:
        answer: probabilities, float (n, classes), of views, uint8 (n, size, size).
        views: of slices of all classes.
        labels: class codes, int (n,).
        groups: int (n,).
        probabilities: of the views as they are, float (n, classes).
    """
    alone = answer(np.stack([border_of(view) for view in views]))
    found, full = (
        score(labels, given, groups, classes).estimates["roc_auc"]
        for given in (alone, probabilities)
    )
    return BorderScore(found, full)


def painted_over(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A slice with a place painted over from around it (Telea, J. Graphics Tools 9, 2004).

    Args:
        pixels: float32 (height, width), [0, 1].
        mask: bool (height, width).
    """
    radius = max(round(_MARGIN * max(mask.shape)), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    wide = cv2.dilate(mask.astype(np.uint8), kernel)
    levels = np.rint(pixels * 255).astype(np.uint8)
    filled = cv2.inpaint(levels, wide, _RADIUS, cv2.INPAINT_TELEA).astype(np.float32) / 255
    result: np.ndarray = np.where(wide > 0, filled, pixels)
    return result


def mirrored(mask: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
    """A mask bool (height, width) on the other side of the head; None where it would touch itself.

    Args:
        pixels: of the slice, float32 (height, width), [0, 1].
    """
    box = head_box(pixels)
    columns = box.left + box.right - 1 - np.arange(mask.shape[1])
    seen = (columns >= 0) & (columns < mask.shape[1])
    other = np.zeros_like(mask)
    other[:, seen] = mask[:, columns[seen]]
    return None if (other & mask).any() or not other.any() else other


def hide(pixels: np.ndarray, mask: np.ndarray, rendering: Rendering) -> np.ndarray | None:
    """Views of a slice as it is, with its tumor painted over, and with the mirrored place.

    Args:
        pixels: float32 (height, width), [0, 1].
        mask: of the tumor, bool of the same shape; not empty.

    Returns:
        uint8 (3, size, size); None where the mirrored place touches the tumor or is off the slice.
    """
    other = mirrored(mask, pixels)
    if other is None:
        return None
    variants = (pixels, painted_over(pixels, mask), painted_over(pixels, other))
    return np.stack([render(each, rendering) for each in variants])


def score_hidden(
    answer: Callable[[np.ndarray], np.ndarray], hidden: Sequence[np.ndarray], groups: Sequence[int]
) -> HiddenTumors | None:
    """Ask a detector of two classes for tumors that were hidden; None where there are none.

    Args:
        answer: probabilities, float (n, 2), of views, uint8 (n, size, size).
        hidden: of each slice what `hide` gives.
        groups: group of each slice.
    """
    if not hidden:
        return None
    chances = answer(np.concatenate(hidden))[:, 1].reshape(-1, 3)
    shown, covered, elsewhere = (mean_interval(column, groups) for column in chances.T)
    lost = difference_interval(chances[:, 2] - chances[:, 1], groups)
    return HiddenTumors(len(hidden), shown, covered, elsewhere, lost)
