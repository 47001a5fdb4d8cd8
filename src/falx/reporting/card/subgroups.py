"""Subgroups of slices in a model card, and which of them differ from all slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falx.evaluation.subgroups import FACTOR_DEFINITIONS, subgroup_metrics
from falx.evaluation.weighted_metrics import METRIC_NAMES
from falx.reporting.card.document import Block, Bullets, Line, Paragraph, Section, Table, line
from falx.reporting.card.numbers import cell
from falx.reporting.formatting import count, listed, number
from falx.statistics import MIN_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falx.evaluation.metrics import Scores
    from falx.evaluation.subgroups import Factor, Subgroup
    from falx.reporting.report import Report


def subgroups(report: Report) -> Section:
    """Whether performance differs by kind of slice."""
    metrics = subgroup_metrics(report.scores.classes)
    factors = report.evaluation.subgroups
    several = [factor for factor in factors if len(factor.subgroups) > 1]
    alike = [
        f"{factor.name.lower()} ({factor.subgroups[0].name})"
        for factor in factors
        if len(factor.subgroups) == 1
    ]
    lines = [*_deviations(several, report.scores)]
    if alike:
        lines.append(line(f"Not compared, since it is the same for all slices: {listed(alike)}."))
    lines.append(
        line("Not compared, since falx does not know it: age, sex, ethnicity, scanner, tumor size.")
    )
    few = f"“Too few groups”: fewer than {MIN_GROUPS} contribute to the metric"
    whose = "; to sensitivity, those with positive slices." if report.binary else "."
    blocks: list[Block] = [Bullets(tuple(lines))]
    if several:
        head = ("Factor", "Subgroup", *(METRIC_NAMES[name] for name in metrics), "Slices", "Groups")
        rows = tuple(
            (line(factor.name), *_row(part, metrics))
            for factor in several
            for part in factor.subgroups
        )
        blocks.append(Table(FACTOR_DEFINITIONS, head, rows, (len(head) - 2, len(head) - 1)))
        blocks.append(Paragraph(line(f"{few}{whose}")))
    return Section("Subgroups", tuple(blocks))


def _row(part: Subgroup, metrics: tuple[str, ...]) -> tuple[Line, ...]:
    cells = (
        line("too few groups") if found is None else cell(found)
        for found in (part.estimates[name] for name in metrics)
    )
    return (line(part.name), *cells, line(count(part.n)), line(count(part.groups)))


def _deviations(factors: list[Factor], scores: Scores) -> Iterator[Line]:
    """Which subgroups' intervals exclude the number over all slices, in words."""
    compared = sum(
        estimate is not None
        for factor in factors
        for part in factor.subgroups
        for estimate in part.estimates.values()
    )
    if not compared:
        yield line("No subgroup has enough groups for a comparison.")
        return
    found = [
        f"{factor.name} {part.name}: {_name(metric)} {part.estimates[metric]} is {side} the "
        f"{number(scores.estimates[metric].value)} over all slices."
        for factor in factors
        for part in factor.subgroups
        for metric, side in part.deviations(scores.estimates).items()
    ]
    yield from map(line, found)
    if found:
        yield line(
            f"{count(compared, 'comparison was', 'comparisons were')} made; by chance alone about "
            "1 in 20 would be significant."
        )
    else:
        yield line(
            f"None of {count(compared, 'comparison')} has a confidence interval that excludes the "
            "number over all slices. That does not prove equal performance: small subgroups have "
            "wide intervals."
        )


def _name(metric: str) -> str:
    name = METRIC_NAMES[metric]
    return name if name.isupper() or name.startswith("ROC") else name[:1].lower() + name[1:]
