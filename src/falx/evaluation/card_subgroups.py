"""What a model card says of parts of the slices, and of those that fare otherwise than all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falx.evaluation.card_numbers import cell
from falx.evaluation.document import Block, Bullets, Line, Paragraph, Section, Table, line
from falx.evaluation.subgroups import LEAST_GROUPS, MEANINGS, shown_metrics
from falx.evaluation.templates import count, listed, number
from falx.evaluation.weighted import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falx.evaluation.metrics import Scores
    from falx.evaluation.report import Report
    from falx.evaluation.subgroups import Factor, Subgroup


def subgroups(report: Report, factors: tuple[Factor, ...]) -> Section:
    """Whether some kind of slice fares otherwise than all."""
    metrics = shown_metrics(report.scores.classes)
    several = [factor for factor in factors if len(factor.subgroups) > 1]
    alike = [
        f"{factor.name.lower()} ({factor.subgroups[0].name})"
        for factor in factors
        if len(factor.subgroups) == 1
    ]
    lines = [*_departures(several, report.scores)]
    if alike:
        lines.append(line(f"Nothing to compare, since all are alike: {listed(alike)}."))
    lines.append(
        line("Not known to falx, so not compared: age, sex, ethnicity, scanner, size of tumors.")
    )
    few = f"Too few groups are fewer than {LEAST_GROUPS} that bear on the number"
    whose = ": for sensitivity, those with positives." if report.binary else "."
    blocks: list[Block] = [Bullets(tuple(lines))]
    if several:
        head = ("By", "Subgroup", *(METRICS[name] for name in metrics), "Slices", "Groups")
        rows = tuple(
            (line(factor.name), *_row(part, metrics))
            for factor in several
            for part in factor.subgroups
        )
        blocks.append(Table(MEANINGS, head, rows, (len(head) - 2, len(head) - 1)))
        blocks.append(Paragraph(line(f"{few}{whose}")))
    return Section("Subgroups", tuple(blocks))


def _row(part: Subgroup, metrics: tuple[str, ...]) -> tuple[Line, ...]:
    cells = (
        line("too few groups") if found is None else cell(found)
        for found in (part.estimates[name] for name in metrics)
    )
    return (line(part.name), *cells, line(count(part.n)), line(count(part.groups)))


def _departures(factors: list[Factor], scores: Scores) -> Iterator[Line]:
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
        f"{number(scores.estimates[metric].value)} of all slices."
        for factor in factors
        for part in factor.subgroups
        for metric, side in part.departures(scores.estimates).items()
    ]
    yield from map(line, found)
    if found:
        yield line(
            f"{count(compared, 'number was', 'numbers were')} compared; by chance alone about 1 in "
            "20 would stand out."
        )
    else:
        yield line(
            f"None of {count(compared, 'number')} has an interval that excludes the number of all "
            "slices. That is no proof that all fare alike: small subgroups have wide intervals."
        )


def _name(metric: str) -> str:
    name = METRICS[metric]
    return name if name.isupper() or name.startswith("ROC") else name[:1].lower() + name[1:]
