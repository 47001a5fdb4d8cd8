"""The benchmark of exports: latency, throughput and size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from falx.deployment.benchmark import Row
from falx.figures import style


def benchmark_bars(rows: Sequence[Row]) -> Figure:
    """Latency, throughput and size of all exports that could be measured."""
    shown = [row for row in rows if row.timings][::-1]
    figure = style.sheet(10.0, 1.6 + 0.32 * len(shown))
    panels = figure.subplots(1, 3, sharey=True)
    threads = sorted({count for row in shown for count in row.timings})
    places = np.arange(len(shown))
    for panel, title, unit, value in (
        (panels[0], "Latency of one slice", "milliseconds, median", "median_ms"),
        (panels[1], "Throughput", "per second, batches of 32", "per_second"),
    ):
        style.dress(panel, title=title, x=unit)
        height = 0.8 / len(threads)
        for number, count in enumerate(threads):
            lengths = [getattr(row.timings[count], value) for row in shown]
            offset = 0.4 - (number + 0.5) * height
            label = "1 thread" if count == 1 else f"{count} threads"
            panel.barh(places + offset, lengths, height, color=style.COLORS[number], label=label)
            _label_bars(panel, lengths, places + offset)
    style.dress(panels[2], title="Size", x="megabytes")
    sizes = [row.bytes / 1e6 for row in shown]
    panels[2].barh(places, sizes, 0.5, color=style.COLORS[2])
    _label_bars(panels[2], sizes, places)
    panels[0].set_yticks(places, [row.name for row in shown])
    style.key_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure


def _label_bars(axes: Axes, lengths: Sequence[float], places: np.ndarray) -> None:
    """Numbers at the ends of bars, and room for them."""
    axes.set_xlim(0, 1.18 * max(lengths))
    for length, place in zip(lengths, places, strict=True):
        style.note(axes, length, place, f" {length:.3g}", va="center")
