"""Figures of volumes: the free-response curve, and probability by level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from falx.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from falx.evaluation.volumes import VolumeScores

Floats = npt.NDArray[np.float64]

_MOST_FALSE_POSITIVES = 8.0
"""A volume, at most shown: beyond, a reader may as well look at every slice."""
_BINS = 12


def free_response(scores: VolumeScores) -> Figure:
    """Fraction of lesions found against false positives a volume, at every threshold.

    The operating point is marked; whiskers are the intervals of the sensitivities that are read
    from the curve.
    """
    figure = style.sheet(4.6, 4.2)
    title = "Free-response curve"
    axes = style.dress(
        figure.subplots(), title=title, x="False positives a volume", y="Lesions found"
    )
    most = min(_MOST_FALSE_POSITIVES, max(1.0, float(scores.curve.false_positives[-1])))
    axes.set(xlim=(-0.02 * most, 1.02 * most), ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    if not scores.lesions:
        style.note(axes, most / 2, 0.5, "no lesions: no curve", ha="center", boxed=True)
        return figure
    x, y = scores.curve.false_positives, scores.curve.sensitivity
    axes.plot(x, y, drawstyle="steps-post", zorder=3, **style.line(0))
    for rate, estimate in scores.sensitivity_at.items():
        if rate <= most and not math.isnan(estimate.low):
            axes.vlines(rate, estimate.low, estimate.high, color=style.BLUE, linewidth=1)
    _operating_point(axes, scores, most)
    return figure


def probability_by_level(
    levels: npt.ArrayLike,
    positive: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    threshold: float | None,
) -> Figure:
    """Mean probability of a tumor by level, of slices with tumor and without.

    Bands reach from the lower to the upper quartile; levels without slices of a kind are left out.

    Args:
        levels: float (n,) in [0, 1].
        positive: which slices have a tumor, bool (n,).
        probabilities: of a tumor, float (n,).
        threshold: the operating point; None for none, with more than two classes.
    """
    level, tumor = np.asarray(levels, float), np.asarray(positive, bool)
    p = np.asarray(probabilities, float)
    figure = style.sheet(5.4, 4.2)
    axes = style.dress(
        figure.subplots(), title="Probability by level", x="Level in the volume, from the lowest",
        y="Probability of a tumor",
    )  # fmt: skip
    style.unit_square(axes)
    axes.set_aspect("auto")
    if threshold is not None:
        dashed = (0, (4, 3))
        axes.axhline(threshold, color=style.INK, linewidth=1, linestyle=dashed, label="threshold")
    for i, (name, rows) in enumerate({"tumor-free": ~tumor, "with tumor": tumor}.items()):
        place, low, mean, high = _binned(level[rows], p[rows])
        look = style.line(i)
        axes.plot(place, mean, marker=style.MARKERS[i], markersize=4, label=name, zorder=3, **look)
        axes.fill_between(place, low, high, color=look["color"], alpha=0.15, linewidth=0, zorder=2)
    style.key_below(figure, axes.get_legend_handles_labels()[0])
    return figure


def _operating_point(axes: Axes, scores: VolumeScores, most: float) -> None:
    x, y = scores.false_positives.value, scores.sensitivity.value
    if x > most:
        beyond = f"operating point: {x:.1f} false positives a volume, {100 * y:.0f} % found"
        style.note(axes, most, 0.03, beyond, ha="right", boxed=True, zorder=4)
        return
    axes.plot(x, y, marker="s", markersize=6.5, color=style.VERMILLION, zorder=4, clip_on=False)
    right = x < most / 2
    style.note(
        axes, x + (0.02 if right else -0.02) * most, y - 0.05, "operating point",
        ha="left" if right else "right", boxed=True, zorder=4,
    )  # fmt: skip


def _binned(levels: Floats, values: Floats) -> Sequence[Floats]:
    """Middle of each bin that has slices, and lower quartile, mean, upper quartile of values."""
    numbers = np.minimum((levels * _BINS).astype(np.int64), _BINS - 1)
    used = np.unique(numbers)
    inside = [values[numbers == number] for number in used]
    quartiles = [np.quantile(each, [0.25, 0.75]) for each in inside]
    means = np.array([each.mean() for each in inside])
    low, high = np.array(quartiles).reshape(-1, 2).T
    return (used + 0.5) / _BINS, low, means, high
