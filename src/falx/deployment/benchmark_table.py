"""The benchmark of exports as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from falx.deployment.benchmark import Row


def as_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One row per export, in numbers."""
    return pd.DataFrame([_flat(row) for row in rows])


def as_markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    threads = sorted({count for row in rows for count in row.timings})
    names = ["", "MB", "AUC", "largest change"]
    for count in threads:
        unit = "1 thread" if count == 1 else f"{count} threads"
        names += [f"ms, {unit} (95 %)", f"slices/s, {unit}"]
    names += ["start, s", "memory, MB", ""]
    lines = [names, ["---", *["---:"] * (len(names) - 2), "---"]]
    lines += [_cells(row, threads) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


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
    fastest = row.timings[threads[-1]] if row.timings else None
    cells += [
        f"{fastest.startup_s:.2f}" if fastest else "",
        f"{fastest.memory_mb:.0f}" if fastest and fastest.memory_mb else "",
    ]
    outcome = f"{row.outcome}: {row.why}" if row.why else row.outcome
    return [*cells, outcome.replace("|", "\\|")]


def _flat(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {
        "format": row.format,
        "precision": row.precision,
        "outcome": row.outcome,
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
