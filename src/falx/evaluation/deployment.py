"""What an export costs and is worth, as a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from falx.evaluation import style
from falx.evaluation.intervals import Estimate
from falx.evaluation.parity import Parity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Mark = Literal["passed", "not equal", "failed"]


@dataclass(frozen=True)
class Timing:
    """What an export took, with some number of threads; medians over processes.

    Attributes:
        startup_s: seconds from the start of the process to the first answer.
        median_ms: milliseconds of one slice.
        p95_ms: the 95th percentile of that.
        per_second: slices, 32 at once.
        memory_mb: the most megabytes that were resident, or None where the system doesn't say.
    """

    startup_s: float
    median_ms: float
    p95_ms: float
    per_second: float
    memory_mb: float | None


@dataclass(frozen=True, eq=False)
class Row:
    """An export: what it is, whether it answers as its network, and what it costs.

    Attributes:
        format: as people call it.
        precision: such as "int8", or "int8, tuned".
        mark: whether it passed, was exported but answers otherwise, or failed.
        why: of a mark other than passed, and what else is to be said.
        bytes: of the network, or 0 where there is none.
        auc: on the slices that exports are checked on.
        parity: None for the network itself, and where there is no export.
        timings: by number of threads.
    """

    format: str
    precision: str
    mark: Mark
    why: str
    bytes: int
    auc: Estimate | None
    parity: Parity | None
    timings: dict[int, Timing] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.format} {self.precision}"


def as_table(rows: Sequence[Row]) -> pd.DataFrame:
    """A row an export, in numbers."""
    return pd.DataFrame([_flat(row) for row in rows])


def as_markdown(rows: Sequence[Row]) -> str:
    """The table as people read it."""
    threads = sorted({count for row in rows for count in row.timings})
    names = ["", "MB", "AUC", "largest change"]
    for count in threads:
        unit = "1 thread" if count == 1 else f"{count} threads"
        names += [f"ms, {unit} (95 %)", f"slices/s, {unit}"]
    names += ["start, s", "memory, MB", ""]
    lines = [names, ["---", *["---:"] * (len(names) - 2), "---"]]
    lines += [_cells(row, threads) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def draw(rows: Sequence[Row]) -> Figure:
    """Latency, throughput and size of all that could be measured."""
    shown = [row for row in rows if row.timings][::-1]
    figure = style.sheet(10.0, 1.6 + 0.32 * len(shown))
    panels = figure.subplots(1, 3, sharey=True)
    threads = sorted({count for row in shown for count in row.timings})
    places = np.arange(len(shown))
    for panel, title, unit, value in (
        (panels[0], "One slice", "milliseconds, median", "median_ms"),
        (panels[1], "Many slices", "a second, 32 at once", "per_second"),
    ):
        style.dress(panel, title=title, x=unit)
        height = 0.8 / len(threads)
        for number, count in enumerate(threads):
            lengths = [getattr(row.timings[count], value) for row in shown]
            offset = 0.4 - (number + 0.5) * height
            label = "1 thread" if count == 1 else f"{count} threads"
            panel.barh(places + offset, lengths, height, color=style.COLORS[number], label=label)
            _say(panel, lengths, places + offset)
    style.dress(panels[2], title="Size", x="megabytes")
    sizes = [row.bytes / 1e6 for row in shown]
    panels[2].barh(places, sizes, 0.5, color=style.COLORS[2])
    _say(panels[2], sizes, places)
    panels[0].set_yticks(places, [row.name for row in shown])
    style.key_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure


def _say(axes: Axes, lengths: Sequence[float], places: np.ndarray) -> None:
    """Numbers at the ends of bars, and room for them."""
    axes.set_xlim(0, 1.18 * max(lengths))
    for length, place in zip(lengths, places, strict=True):
        style.note(axes, length, place, f" {length:.3g}", va="center")


def _cells(row: Row, threads: Sequence[int]) -> list[str]:
    cells = [
        row.name,
        f"{row.bytes / 1e6:.2f}" if row.bytes else "",
        str(row.auc) if row.auc else "",
        f"{row.parity.largest:.2g}" if row.parity else "",
    ]
    for count in threads:
        timing = row.timings.get(count)
        cells += (
            [f"{timing.median_ms:.1f} ({timing.p95_ms:.1f})", f"{timing.per_second:.0f}"]
            if timing
            else ["", ""]
        )
    most = row.timings[threads[-1]] if row.timings else None
    cells += [
        f"{most.startup_s:.2f}" if most else "",
        f"{most.memory_mb:.0f}" if most and most.memory_mb else "",
    ]
    said = f"{row.mark}: {row.why}" if row.why else row.mark
    return [*cells, said.replace("|", "\\|")]


def _flat(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {
        "format": row.format,
        "precision": row.precision,
        "mark": row.mark,
        "why": row.why,
        "bytes": row.bytes,
    }
    if row.auc:
        found |= {"auc": row.auc.value, "auc_low": row.auc.low, "auc_high": row.auc.high}
    if row.parity:
        found |= {
            "auc_loss": row.parity.auc_loss,
            "largest_difference": row.parity.largest,
        }
    for count, timing in row.timings.items():
        found |= {f"{name}_{count}": value for name, value in vars(timing).items()}
    return found
