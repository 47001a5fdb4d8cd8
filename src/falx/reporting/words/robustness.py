"""Robustness to corruption, in words and rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from falx.evaluation.robustness import RobustnessRow, RobustnessScores
from falx.reporting.formatting import Cell, cell_of, count, number, percent, signed, with_interval
from falx.statistics import Estimate


@dataclass(frozen=True)
class RobustnessTable:
    """The part of a report on robustness."""

    sentences: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]


def robustness_words(scores: RobustnessScores | None) -> Iterator[str]:
    """What was measured, and the worst at each strength; nothing where it was not measured."""
    if scores is None:
        return
    sample = count(scores.n, "slice")
    if scores.n < scores.eligible:
        sample = f"{scores.n:,} of {count(scores.eligible, 'slice')}"
    clean = scores.uncorrupted
    yield (
        f"Robustness, on {sample}, uncorrupted: AUC {with_interval(clean.roc_auc)}, "
        f"{percent(clean.out_of_distribution.value)} rejected as out-of-distribution."
    )
    for strength in sorted({row.strength for row in scores.rows}):
        yield _worst_words(scores.at(strength), strength)


def _worst_words(rows: tuple[RobustnessRow, ...], strength: int) -> str:
    auc = min(rows, key=lambda row: row.roc_auc_change)
    rejected = max(rows, key=lambda row: row.out_of_distribution_change)
    return (
        f"At strength {strength}, the AUC is lowest with {auc.corruption} "
        f"({number(auc.roc_auc.value)}, {signed(auc.roc_auc_change)}), and rejection is highest "
        f"with {rejected.corruption} ({percent(rejected.out_of_distribution.value)})."
    )


def robustness_table(scores: RobustnessScores | None) -> RobustnessTable | None:
    """Sentences, and a row for each corruption and strength: name, amount, numbers."""
    if scores is None:
        return None
    rows = (scores.uncorrupted, *scores.rows)
    return RobustnessTable(tuple(robustness_words(scores)), tuple(map(_table_row, rows)))


def _table_row(row: RobustnessRow) -> tuple[str, str, tuple[Cell, ...]]:
    name = f"{row.corruption}, {row.strength}" if row.strength else "uncorrupted"
    changes = (row.roc_auc_change, row.out_of_distribution_change)
    auc, rejected = (signed(change) if row.strength else "" for change in changes)
    cells = (
        cell_of(row.roc_auc), Cell(auc), cell_of(row.sensitivity), cell_of(row.specificity),
        _percent_cell(row.out_of_distribution), Cell(rejected), _percent_cell(row.referred),
    )  # fmt: skip
    return name, row.amount, cells


def _percent_cell(estimate: Estimate) -> Cell:
    return Cell(percent(estimate.value))
