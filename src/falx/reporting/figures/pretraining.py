"""Curves of a pretraining on phantoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falx.reporting.figures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SCORES = {
    "auc": "tumor or not, ROC AUC",
    "kind": "kind of tumor",
    "pointing": "peak on the tumor",
    "appearance": "appearance",
    "plane": "plane",
}


def pretraining_curves(history: pd.DataFrame) -> Figure:
    """Loss, and scores on held-out phantoms, by number of phantoms seen.

    A vertical line marks where views become larger.

    Args:
        history: see falx.pretraining.phantoms.pretrain_on_phantoms.
    """
    figure = style.sheet(9.6, 3.6)
    losses, scores = figure.subplots(1, 2, sharex=True)
    thousands = history["slices"] / 1000
    style.dress(losses, title="Loss", x="Thousands of phantoms seen")
    losses.plot(thousands, history["loss"], **style.line(0))
    losses.set_ylim(bottom=0)
    style.dress(scores, title="On held-out phantoms", x="Thousands of phantoms seen")
    for number, (column, name) in enumerate(_SCORES.items()):
        scores.plot(thousands, history[column], label=name, **style.line(number))
    scores.set_ylim(0, 1.02)
    style.key(scores, "", "lower right", entries=True)
    larger = history["slices"].shift()[history["size"].diff() > 0] / 1000
    for axes in (losses, scores):
        for place in larger:
            axes.axvline(place, color=style.RULE, linewidth=style.HAIRLINE, zorder=0)
    return figure
