"""Occlusion: what a detector predicts where the brain, or the tumor, is hidden.

If the class can still be predicted with the brain hidden, predictions rest in part on shortcuts
(Geirhos et al., Shortcut learning in deep neural networks, 2020). If a tumor is inpainted, its
probability should fall; if as much is inpainted on the other side of the head, it should not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from falx.evaluation.metrics import score
from falx.image.crop import Box, head_box
from falx.image.render import render
from falx.recipe import Rendering
from falx.statistics import Estimate, difference_interval, mean_interval

Predictor = Callable[[np.ndarray], np.ndarray]
"""Probabilities, float (n, classes), of views, uint8 (n, size, size)."""

_FRAME = 1 / 16
"""Width of the border that is left, in sides of a view."""
_MARGIN = 0.01
"""How far inpainting goes beyond a mask, in sides of the slice."""
_RADIUS = 3
"""Radius in pixels of the neighborhood that a pixel is inpainted from."""
_BATCH = 256
_UNKNOWN = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class BorderOnlyScores:
    """How well the class is predicted from slices of which only the border is left.

    Attributes:
        n: slices.
        roc_auc: of predictions on the border alone.
        full_roc_auc: on the same slices as they are.
    """

    n: int
    roc_auc: Estimate
    full_roc_auc: Estimate


@dataclass(frozen=True)
class OcclusionScores:
    """The mean probability of a tumor in slices that have one, with and without occlusion.

    Attributes:
        n: slices; all numbers are undefined where there are none.
        outlined: slices with an outlined tumor; those whose mask touches its own mirror image are
            left out of `n`.
        visible: as they are.
        tumor_occluded: with the tumor inpainted.
        control_occluded: with the mirrored region inpainted.
        drop: how much lower the probability is with the tumor inpainted than with the control.
    """

    n: int
    outlined: int
    visible: Estimate
    tumor_occluded: Estimate
    control_occluded: Estimate
    drop: Estimate


def border_only_views(views: np.ndarray) -> np.ndarray:
    """Views uint8 (n, size, size) with all but a frame blank, filled with the frame's median gray.

    The frame is the same whatever a view shows: a blank region that depended on the content would
    reveal it.
    """
    size = views.shape[1]
    frame = max(round(_FRAME * size), 1)
    inside = np.zeros((size, size), bool)
    inside[frame:-frame, frame:-frame] = True
    levels = np.median(views[:, ~inside], axis=1).astype(np.uint8)
    borders: np.ndarray = np.where(inside, levels[:, None, None], views)
    return borders


def score_border_only(
    predict: Predictor,
    views: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    probabilities: np.ndarray,
) -> BorderOnlyScores | None:
    """Predict slices of which only the border is left; None where a class has none.

    Args:
        views: uint8 (n, size, size).
        labels: class codes, int (n,).
        groups: int (n,).
        probabilities: of the views as they are, float (n, classes).
    """
    if len(np.unique(labels)) < len(classes):
        return None
    starts = range(0, len(views), _BATCH)
    alone = np.concatenate([predict(border_only_views(views[i : i + _BATCH])) for i in starts])
    border_only, full = (
        score(labels, each, groups, classes).estimates["roc_auc"] for each in (alone, probabilities)
    )
    return BorderOnlyScores(len(views), border_only, full)


def occluded_views(
    pixels: np.ndarray, mask: np.ndarray, rendering: Rendering, head: Box | None = None
) -> np.ndarray | None:
    """Views of a slice as it is, with its tumor inpainted, and with the mirrored region inpainted.

    All three show the same rectangle of the slice.

    Args:
        pixels: float32 (height, width), [0, 1].
        mask: of the tumor, bool of the same shape; not empty.
        head: the box of the head, if it is known.

    Returns:
        uint8 (3, size, size); None where the mirrored region touches the tumor or leaves the slice.
    """
    region, head = dilate(mask), head or head_box(pixels)
    control = _mirrored(region, head.left + head.right - 1)
    if control is None:
        return None
    variants = (pixels, inpaint(pixels, region), inpaint(pixels, control))
    return np.stack([render(each, rendering, head) for each in variants])


def dilate(mask: np.ndarray) -> np.ndarray:
    """A mask bool (height, width) with a margin, since a tumor shows beyond its outline."""
    radius = max(round(_MARGIN * max(mask.shape)), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def inpaint(pixels: np.ndarray, region: np.ndarray) -> np.ndarray:
    """A slice with a region inpainted from its surroundings (Telea, J. Graphics Tools 9, 2004).

    Args:
        pixels: float32 (height, width), [0, 1].
        region: bool (height, width).
    """
    levels = np.rint(pixels * 255).astype(np.uint8)
    filled = cv2.inpaint(levels, region.astype(np.uint8), _RADIUS, cv2.INPAINT_TELEA)
    result: np.ndarray = np.where(region, filled.astype(np.float32) / 255, pixels)
    return result


def _mirrored(region: np.ndarray, column_sum: int) -> np.ndarray | None:
    """A region bool (height, width) on the other side of the head; None where it touches itself.

    Args:
        column_sum: of the indices of two columns that mirror each other.
    """
    columns = column_sum - np.arange(region.shape[1])
    inside = (columns >= 0) & (columns < region.shape[1])
    mirrored = np.zeros_like(region)
    mirrored[:, inside] = region[:, columns[inside]]
    return None if (mirrored & region).any() or not mirrored.any() else mirrored


def score_occlusion(
    predict: Predictor, occluded: Sequence[np.ndarray], groups: Sequence[int], *, outlined: int
) -> OcclusionScores:
    """Predict slices whose tumor was inpainted, by a detector of two classes.

    Args:
        occluded: of each slice what `occluded_views` gives.
        groups: group of each slice.
        outlined: slices with an outlined tumor.
    """
    if not occluded:
        return OcclusionScores(0, outlined, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN)
    starts = range(0, len(occluded), _BATCH)
    batches = [predict(np.concatenate(occluded[i : i + _BATCH]))[:, 1] for i in starts]
    probabilities = np.concatenate(batches).reshape(-1, 3)
    visible, tumor, control = (mean_interval(column, groups) for column in probabilities.T)
    drop = difference_interval(probabilities[:, 2] - probabilities[:, 1], groups)
    return OcclusionScores(len(occluded), outlined, visible, tumor, control, drop)
