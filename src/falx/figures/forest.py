"""Forest plots: sets of scores side by side, such as a leak-free split and a random one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from falx.errors import BadInput
from falx.evaluation.metrics import Scores
from falx.evaluation.weighted_metrics import METRIC_NAMES
from falx.figures import style
from falx.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEADING = 1.5  # rows that a heading takes


def forest_plot(scores_by_name: Mapping[str, Scores], metrics: Sequence[str]) -> Figure:
    """Estimates with their intervals: a block for each metric, a row for each set of scores.

    A metric that a set of scores lacks, such as one that a paper does not report, is marked as not
    reported.

    Args:
        scores_by_name: what to compare, in order.
        metrics: keys of `METRIC_NAMES`, in order.

    Raises:
        BadInput: nothing to compare, or an unknown metric.
    """
    unknown = [name for name in metrics if name not in METRIC_NAMES]
    if unknown or not metrics or not scores_by_name:
        raise BadInput(
            f"`metrics` must be one or more of {', '.join(METRIC_NAMES)}, got "
            f"{', '.join(metrics) or 'none'}, and `scores_by_name` not be empty."
        )
    rows = (len(scores_by_name) + _HEADING) * len(metrics)
    figure = style.sheet(7.2, 0.24 * rows + 0.7)
    axes = style.dress(figure.subplots())
    axes.spines["left"].set_visible(False)
    ticks: list[tuple[float, str]] = []
    for y, metric, i, name, estimate in _rows(scores_by_name, metrics):
        ticks.append((y, name))
        if i == 0:
            _heading(axes, y - 1, METRIC_NAMES[metric])
        _whisker(axes, y, i, estimate)
    axes.set_yticks(*zip(*ticks, strict=True), parse_math=False)
    axes.set_ylim(rows - 0.6, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=style.RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def _rows(
    scores_by_name: Mapping[str, Scores], metrics: Sequence[str]
) -> Iterator[tuple[float, str, int, str, Estimate | None]]:
    """Every row: its height, metric, series, name and estimate."""
    for block, metric in enumerate(metrics):
        for i, (name, scores) in enumerate(scores_by_name.items()):
            y = block * (len(scores_by_name) + _HEADING) + i + 1
            yield y, metric, i, name, scores.estimates.get(metric)


def _heading(axes: Axes, y: float, text: str) -> None:
    axes.annotate(
        text,
        (0, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=style.BODY,
        fontweight="bold",
        color=style.INK,
    )


def _whisker(axes: Axes, y: float, i: int, estimate: Estimate | None) -> None:
    if estimate is not None and not math.isnan(estimate.value):
        color = style.COLORS[i % len(style.COLORS)]
        axes.plot([estimate.low, estimate.high], [y, y], color=color, linewidth=style.LINE)
        shape = style.MARKERS[i % len(style.MARKERS)]
        axes.plot(estimate.value, y, marker=shape, markersize=6.5, color=color)
    style.note(
        axes,
        1.02,
        y,
        "not reported" if estimate is None else str(estimate),
        transform=axes.get_yaxis_transform(),
        va="center",
        color=style.INK,
    )
