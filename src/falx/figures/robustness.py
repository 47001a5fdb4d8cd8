"""Scores under corruption, by strength."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from falx.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from falx.evaluation.robustness import RobustnessScores

_PANELS = (
    ("roc_auc", "ROC AUC"),
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
    ("out_of_distribution", "Rejected as OOD"),
)
_SPREAD = 0.22
"""Distance between the strengths of one corruption, in rows."""


def robustness(scores: RobustnessScores) -> Figure:
    """A row for each corruption, a marker for each strength; the line is without corruption."""
    names = list(dict.fromkeys(row.corruption for row in scores.rows))
    figure = style.sheet(11.0, 1.4 + 0.36 * len(names))
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (field, title) in zip(panels, _PANELS, strict=True):
        _panel(axes, scores, names, field, title)
    first = panels[0]
    first.set_yticks(range(len(names)), names)
    first.set_ylim(len(names) - 0.5, -0.5)
    style.key_below(figure, first.get_legend_handles_labels()[0])
    return figure


def _panel(axes: Axes, scores: RobustnessScores, names: list[str], field: str, title: str) -> None:
    style.dress(axes, title=title)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks(np.linspace(0, 1, 5), ["0", "0.25", "0.5", "0.75", "1"])
    axes.hlines(range(len(names)), 0, 1, color=style.RULE, linewidth=style.HAIRLINE, zorder=1)
    axes.axvline(
        getattr(scores.uncorrupted, field).value, color=style.INK, linestyle="--",
        linewidth=style.HAIRLINE, label="uncorrupted", zorder=2,
    )  # fmt: skip
    for i, strength in enumerate(sorted({row.strength for row in scores.rows})):
        rows = scores.at(strength)
        axes.plot(
            [getattr(row, field).value for row in rows],
            [names.index(row.corruption) + _SPREAD * (i - 1) for row in rows],
            linestyle="none", marker=style.MARKERS[i], markersize=5, color=style.COLORS[i],
            label=f"strength {strength}", zorder=3,
        )  # fmt: skip
