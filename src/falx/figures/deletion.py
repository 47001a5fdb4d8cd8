"""Deletion and insertion curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from falx.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from falx.evaluation.deletion import DeletionScores, PerturbationCurves

_ORDERS = {"by_map": "own map", "by_other": "another slice's map", "by_random": "random order"}


def deletion_insertion(scores: DeletionScores) -> Figure:
    """Probability of the predicted class as a view is deleted and inserted, in three orders.

    Bands are 95 % confidence intervals over groups.
    """
    figure = style.sheet(8.4, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, scores.deletion, "Deletion: lower is more faithful", "Fraction of pixels deleted")
    _panel(
        right, scores.insertion, "Insertion: higher is more faithful", "Fraction of pixels inserted"
    )
    left.set_ylabel("Probability of the predicted class", fontsize=style.BODY, color=style.INK)
    style.key_below(figure, left.get_legend_handles_labels()[0])
    return figure


def _panel(axes: Axes, curves: PerturbationCurves, title: str, x: str) -> None:
    style.dress(axes, title=title, x=x)
    style.unit_square(axes)
    axes.set_aspect("auto")
    for i, (field, name) in enumerate(_ORDERS.items()):
        points = getattr(curves, field).points
        shares = np.linspace(0, 1, len(points))
        look = style.line(i)
        axes.plot(shares, [point.value for point in points], label=name, zorder=3, **look)
        low, high = np.array([(point.low, point.high) for point in points]).T
        axes.fill_between(shares, low, high, color=look["color"], alpha=0.15, linewidth=0, zorder=2)
