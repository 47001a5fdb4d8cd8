"""How findings show themselves in a terminal and in a notebook."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from falx.counting import count
from falx.detect.overlay import as_png, overlay_of
from falx.detect.rules import REASONS
from falx.errors import FalxError
from falx.notebook import block, picture, sentence, table
from falx.notice import NOTICE

if TYPE_CHECKING:
    from falx.detect.finding import Finding, Findings, SeriesFinding, StudyFinding

_ROWS, _PICTURES = 20, 4
"""Slices in a table, and overlays below it."""


def answer(finding: Finding | SeriesFinding | StudyFinding) -> str:
    """Such as "no tumor, p(tumor) 0.12, refer"; without a label, the status."""
    if finding.label is None:
        return _status(finding.status)
    classes = list(finding.probabilities)
    name = classes[1] if len(classes) == 2 else finding.label
    label = f"{finding.label}, p({name}) {finding.probability:.2f}"
    return label if finding.status == "answer" else f"{label}, {_status(finding.status)}"


def summary(findings: Findings) -> str:
    """How many slices, studies and files left out, and how many slices of each status."""
    counts = Counter(finding.status for finding in findings.slices)
    statuses = ", ".join(f"{n} {_status(status)}" for status, n in sorted(counts.items()))
    parts = [count(len(findings.slices), "slice") + (f": {statuses}" if statuses else "")]
    if findings.studies:
        parts.append(count(len(findings.studies), "study", "studies"))
    if findings.left_out:
        parts.append(f"{count(len(findings.left_out))} left out")
    return "; ".join(parts)


def finding_html(finding: Finding) -> str:
    """The slice with its overlay; without it, where the file can't be read any more, the reason."""
    heading = f"{finding.path.name}: {answer(finding)}"
    return block(heading, _overlay_html(finding), sentence(_reason(finding)), sentence(NOTICE))


def findings_html(findings: Findings) -> str:
    """Tables of studies, slices and what was left out, and the overlays of the first slices."""
    studies = [[study.study, answer(study), study.reason] for study in findings.studies]
    shown = findings.slices[:_ROWS]
    slices = [[each.path.name, each.index, answer(each), _reason(each)] for each in shown]
    more = len(findings.slices) - len(shown)
    left_out = [[each.path.name, each.problem] for each in findings.left_out]
    pictures = [study.strongest for study in findings.studies if study.strongest] or list(shown)
    return block(
        summary(findings),
        table(("study", "answer", "reason"), studies),
        table(("file", "index", "answer", "reason"), slices),
        sentence(f"and {more} more" if more else ""),
        table(("left out", "reason"), left_out[:_ROWS]),
        *(_overlay_html(each) for each in pictures[:_PICTURES]),
        sentence(findings.site.sentence if findings.site and findings.site.is_different else ""),
        sentence(NOTICE),
    )


def _overlay_html(finding: Finding) -> str:
    try:
        return picture(as_png(overlay_of(finding)), answer(finding))
    except FalxError as error:
        return sentence(str(error))


def _reason(finding: Finding) -> str:
    return finding.reason or REASONS[finding.status]


def _status(status: str) -> str:
    return status.replace("_", " ")
