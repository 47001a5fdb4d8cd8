"""Training curves: loss, accuracy and AUC by epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from falx.errors import BadInput
from falx.figures import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HISTORY = (
    "epoch",
    "phase",
    "loss",
    "accuracy",
    "auc",
    "val_loss",
    "val_accuracy",
    "val_auc",
    "learning_rate",
    "best",
)
"""The columns of a training's history."""

_PANELS = {"loss": "Loss", "accuracy": "Accuracy", "auc": "ROC AUC"}


def training_curves(history: pd.DataFrame) -> Figure:
    """Loss, accuracy and AUC by epoch, in training and in validation.

    A vertical line marks a change of phase, a diamond the epoch whose weights were kept.

    Args:
        history: one row per epoch, with the columns of `HISTORY`; `epoch` increases throughout,
            `best` is bool.

    Raises:
        BadInput: the history is empty, lacks a column, or its epochs don't increase.
    """
    _check_history(history)
    figure = style.sheet(9.6, 3.3)
    panels: Sequence[Axes] = figure.subplots(1, len(_PANELS), sharex=True)
    for axes, (column, title) in zip(panels, _PANELS.items(), strict=True):
        style.dress(axes, title=title, x="Epoch", gap=18)
        epochs = history["epoch"]
        axes.plot(epochs, history[column], label="training", **style.line(0))
        axes.plot(epochs, history[f"val_{column}"], label="validation", **style.line(1))
        _mark_best(axes, history[history["best"].astype(bool)], f"val_{column}")
        _mark_phases(axes, history)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylim(bottom=0)
    style.key_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure


def _check_history(history: pd.DataFrame) -> None:
    missing = [column for column in HISTORY if column not in history]
    if missing:
        raise BadInput(f"`history` lacks the columns {', '.join(missing)}.")
    if history.empty or not (
        history["epoch"].is_monotonic_increasing and history["epoch"].is_unique
    ):
        raise BadInput(
            "`history` must have one row per epoch, and `epoch` must increase from row to row."
        )


def _mark_best(axes: Axes, best: pd.DataFrame, column: str) -> None:
    axes.plot(
        best["epoch"],
        best[column],
        label="weights kept",
        linestyle="none",
        marker="D",
        markersize=6.5,
        markerfacecolor="white",
        markeredgecolor=style.INK,
        markeredgewidth=1.4,
        zorder=4,
    )
    kept = zip(best[column], best["epoch"], strict=True)
    text = ", ".join(f"kept {value:.2f} at epoch {epoch}" for value, epoch in kept)
    axes.set_title(text, loc="right", fontsize=style.SMALL, color=style.INK, pad=18)


def _mark_phases(axes: Axes, history: pd.DataFrame) -> None:
    """A line half-way between the last epoch of a phase and the first of the next; their names."""
    starts = history.loc[history["phase"] != history["phase"].shift(), ["epoch", "phase"]]
    before = history["epoch"].shift().loc[starts.index]
    for epoch, phase, last in zip(starts["epoch"], starts["phase"], before, strict=True):
        edge = epoch if math.isnan(last) else (epoch + last) / 2
        if not math.isnan(last):
            axes.axvline(edge, color=style.QUIET, linewidth=style.HAIRLINE, linestyle=(0, (2, 2)))
        transform = axes.get_xaxis_transform()
        style.note(axes, edge, 1.02, phase, transform=transform, ha="left", va="bottom")
