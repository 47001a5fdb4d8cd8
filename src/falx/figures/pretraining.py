"""Curves of a pretraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falx.figures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SCORES = {"auc": "ROC AUC", "pointing": "Peak of the map on the tumor"}


def pretraining_curves(history: pd.DataFrame) -> Figure:
    """Loss, and scores on phantoms and datasets that are not learned from, by views seen.

    Args:
        history: see falx.pretraining.localizing.pretrain_localization.
    """
    figure = style.sheet(12.0, 3.6)
    losses, *panels = figure.subplots(1, 3, sharex=True)
    thousands = history["slices"] / 1000
    style.dress(losses, title="Loss", x="Thousands of views seen")
    losses.plot(thousands, history["loss"], **style.line(0))
    losses.set_ylim(bottom=0)
    for axes, (score, title) in zip(panels, _SCORES.items(), strict=True):
        style.dress(axes, title=title, x="Thousands of views seen")
        columns = [str(name) for name in history if str(name).partition("_")[0] == score]
        for number, column in enumerate(columns):
            if history[column].notna().any():
                name = column.partition("_")[2] or "phantoms"
                axes.plot(thousands, history[column], label=name, **style.line(number))
        axes.set_ylim(0, 1.02)
        style.key(axes, "", "lower right", entries=True)
    return figure
