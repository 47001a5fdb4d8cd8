"""The figure of a pretraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falx.evaluation import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MARKS = {
    "auc": "tumor or not, ROC AUC",
    "kind": "kind of tumor",
    "pointing": "hottest place on the tumor",
    "appearance": "appearance",
    "plane": "plane",
}


def pretraining(history: pd.DataFrame) -> Figure:
    """Loss, and marks on phantoms that are not learned from, by slices seen.

    A vertical line stands where views become larger.

    Args:
        history: see falx.training.pretrain.pretrain.
    """
    figure = style.sheet(9.6, 3.6)
    losses, marks = figure.subplots(1, 2, sharex=True)
    thousands = history["slices"] / 1000
    style.dress(losses, title="Loss", x="Thousands of phantoms seen")
    losses.plot(thousands, history["loss"], **style.line(0))
    losses.set_ylim(bottom=0)
    style.dress(marks, title="On other phantoms", x="Thousands of phantoms seen")
    for number, (column, name) in enumerate(_MARKS.items()):
        marks.plot(thousands, history[column], label=name, **style.line(number))
    marks.set_ylim(0, 1.02)
    style.key(marks, "", "lower right", entries=True)
    larger = history["slices"].shift()[history["size"].diff() > 0] / 1000
    for axes in (losses, marks):
        for place in larger:
            axes.axvline(place, color=style.RULE, linewidth=style.HAIRLINE, zorder=0)
    return figure
