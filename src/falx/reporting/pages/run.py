"""The report of a run: one HTML file, the headline metrics with their intervals first.

Its sentences follow from the numbers and from the audit; nothing is claimed of a model that its own
test can't support.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falx.evaluation.evaluation import FoldScores
from falx.evaluation.metrics import Scores
from falx.evaluation.reliability import Reliability
from falx.evaluation.studies import StudyScores
from falx.evaluation.weighted_metrics import METRIC_NAMES
from falx.reporting.facts import facts
from falx.reporting.formatting import (
    Cell,
    cell_of,
    count,
    digits,
    duration,
    first_few,
    interval,
    number,
    percent,
    signed,
    span_of,
)
from falx.reporting.pages.rendering import IntervalMark, data_uri, mark, write_page
from falx.reporting.report import Figure, Report
from falx.reporting.words import report as sentences
from falx.reporting.words.audit import LABEL_ISSUES_ADVICE, verdicts
from falx.reporting.words.dataset import dataset_words
from falx.reporting.words.heat_maps import faithfulness_table, localization_table
from falx.reporting.words.metrics import GLOSSES
from falx.reporting.words.next_steps import next_steps
from falx.reporting.words.occlusion import occlusion_words
from falx.reporting.words.reliability import reliability_rows
from falx.reporting.words.robustness import robustness_table
from falx.reporting.words.site import site_notice, site_table
from falx.reporting.words.sources import is_left_out, source_columns, source_rows, source_words
from falx.reporting.words.volumes import volume_table
from falx.runs.run import Run
from falx.statistics import Estimate

ERRORS_SHOWN = 200
LABEL_ISSUES_SHOWN = 200

_MARKED = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1",
           "roc_auc", "average_precision")  # fmt: skip
_DOTS_PER_PIXEL = 160 / 96
_WIDE = 700  # pixels of width from which a figure takes a row of its own


@dataclass(frozen=True)
class _Headline:
    """A number of the headline, and what it means."""

    label: str
    value: str
    span: str
    mark: IntervalMark | None
    meaning: str


@dataclass(frozen=True)
class _Column:
    """One set of scores in the table of numbers."""

    title: str
    note: str
    estimates: Mapping[str, Estimate]
    write: Callable[[float | None, int], str] = number
    places: int = 3


@dataclass(frozen=True)
class _Row:
    name: str
    gloss: str
    cells: tuple[Cell, ...]
    mark: IntervalMark | None


@dataclass(frozen=True)
class _Picture:
    title: str
    caption: str
    uri: str
    width: int
    height: int
    wide: bool


def write_report(report: Report, path: Path) -> None:
    """Write a report as one HTML file that holds its figures.

    Args:
        report: its content.
        path: the file to write; it is replaced if it exists.
    """
    run, evaluation, scores = report.run, report.evaluation, report.scores
    columns = list(_columns(report))
    errors = evaluation.predictions.misclassifications()
    label_issues = report.audit.label_issues()
    pretraining = report.record.pretraining
    write_page(
        path,
        "report.html.j2",
        report=report,
        record=report.record,
        parts=run.parts,
        kind={"training": "report"}.get(run.kind, run.kind),
        lede=sentences.lede(report),
        headline=_headlines(scores),
        notice=sentences.notice(report),
        verdicts=verdicts(report.audit),
        dataset=dataset_words(run),
        pretraining=sentences.pretraining_words(pretraining) if pretraining else "",
        columns=columns,
        rows=[_row(name, columns) for name in METRIC_NAMES if name in scores.estimates],
        leakage=sentences.leakage_words(report),
        paper=sentences.paper_words() if report.binary else "",
        classes=_class_rows(scores),
        reliability=_reliability(report.reliability),
        site_notice=site_notice(evaluation.site),
        site=site_table(evaluation.site),
        studies=_studies(evaluation.studies),
        shortcuts=list(occlusion_words(evaluation.border_only, evaluation.occlusion)),
        robustness=robustness_table(evaluation.robustness),
        localization=localization_table(evaluation.localization, evaluation.regions),
        faithfulness=faithfulness_table(evaluation.faithfulness, scores.classes),
        volumes=volume_table(evaluation),
        figures=_pictures(report, "figures"),
        volume_figures=_pictures(report, "volumes"),
        shown_class=f"“{scores.classes[1]}”" if report.binary else "the predicted class",
        errors=[
            (each.path, each.label, each.predicted, number(each.probability),
             f"{each.times} of {scores.repeats}")
            for each in errors[:ERRORS_SHOWN]
        ],
        errors_hidden=len(errors[ERRORS_SHOWN:]),
        repeats=scores.repeats,
        folds=[_fold_row(fold) for fold in evaluation.by_fold],
        sources=_sources(report),
        sources_are_folds=is_left_out(run),
        checked=report.audit.label_check,
        label_issues=[
            _label_issue_row(each, scores.repeats) for each in label_issues[:LABEL_ISSUES_SHOWN]
        ],
        label_issues_hidden=len(label_issues[LABEL_ISSUES_SHOWN:]),
        label_issues_advice=LABEL_ISSUES_ADVICE,
        cost=_cost(run),
        recipe=run.recipe,
        limitations=list(sentences.limitations(report)),
        facts=list(facts(report.record)),
        next_steps=next_steps(run)[1:],
    )  # fmt: skip


def _headlines(scores: Scores) -> tuple[_Headline, ...]:
    found = scores.estimates
    return (
        _headline("Accuracy", found["accuracy"], sentences.accuracy_words(scores), marked=True),
        _headline("ROC AUC", found["roc_auc"], sentences.auc_words(scores), marked=True),
        _headline("Log loss", found["log_loss"], sentences.loss_words(scores), marked=False),
    )


def _headline(label: str, estimate: Estimate, meaning: str, *, marked: bool) -> _Headline:
    places = digits(estimate)
    span = "no confidence interval can be given"
    if not math.isnan(estimate.low):
        span = f"95 % confidence interval {interval(estimate, places)}"
    drawn = mark(estimate) if marked else None
    return _Headline(label, number(estimate.value, places), span, drawn, meaning)


def _columns(report: Report) -> Iterator[_Column]:
    scores, random = report.scores, report.run.random_split
    size = f"{report.record.split}, n\u00a0=\u00a0{count(scores.n)}"
    yield _Column("This report", size, scores.estimates)
    if random:
        note = f"n\u00a0=\u00a0{count(random.scores.n)}, {count(random.n_leaked or 0)} leaked"
        yield _Column("Random split", note, random.scores.estimates)
        gains = {
            name: Estimate(random.scores.estimates[name].value - own.value, math.nan, math.nan)
            for name, own in scores.estimates.items()
        }
        yield _Column("Difference", "random minus this", gains, signed)
    if report.binary:
        yield _Column(
            "The paper",
            f"as published, n\u00a0=\u00a0{sentences.PAPER_N}",
            sentences.PAPER,
            places=4,
        )


def _row(name: str, columns: list[_Column]) -> _Row:
    cells = tuple(_cell(column, name) for column in columns)
    drawn = mark(columns[0].estimates[name]) if name in _MARKED else None
    return _Row(METRIC_NAMES[name], GLOSSES[name], cells, drawn)


def _cell(column: _Column, name: str) -> Cell:
    estimate = column.estimates.get(name, Estimate(math.nan, math.nan, math.nan))
    return Cell(column.write(estimate.value, column.places), span_of(estimate))


def _class_rows(scores: Scores) -> list[tuple[str, tuple[Cell, ...], str]]:
    return [
        (name, tuple(map(cell_of, row.values())), count(scores.support[name]))
        for name, row in scores.by_class.items()
    ]


def _sources(report: Report) -> dict[str, Any] | None:
    """Numbers by source; None where there is one."""
    if not report.evaluation.by_source:
        return None
    return {
        "words": source_words(report.run),
        "columns": source_columns(report.evaluation),
        "rows": [
            (name, count(n), count(groups), tuple(map(cell_of, measures)))
            for name, n, groups, measures in source_rows(report.evaluation)
        ],
    }


def _fold_row(fold: FoldScores) -> tuple[str, ...]:
    found = fold.scores.estimates
    values = [number(found[name].value) for name in ("accuracy", "roc_auc", "log_loss")]
    sizes = count(fold.scores.n), count(fold.scores.groups)
    return (str(fold.repeat), str(fold.fold), *sizes, *values)


def _label_issue_row(issue: Mapping[str, Any], repeats: int) -> tuple[str, ...]:
    times = f"{issue['times']} of {repeats}"
    columns = issue["path"], issue["label"], issue["suggested"], number(issue["probability"])
    return (*columns, times, first_few(issue["group"]))


def _reliability(reliability: Reliability) -> dict[str, Any]:
    return {
        "temperature": number(reliability.temperature, 2),
        "rows": [
            (name, gloss, cell_of(estimate))
            for name, gloss, estimate in reliability_rows(reliability)
        ],
        "calibration": [
            (METRIC_NAMES[name], cell_of(before), cell_of(reliability.after[name]))
            for name, before in reliability.before.items()
        ],
    }


def _studies(studies: StudyScores | None) -> dict[str, Any] | None:
    """Scores by study as rows, and how a study's probability is pooled."""
    if studies is None:
        return None
    return {
        "n": count(studies.scores.n, "study", "studies"),
        "unanswered": sentences.unanswered_studies(studies),
        "rule": _study_rule(studies.top_fraction),
        "rows": [
            (METRIC_NAMES[name], cell_of(each)) for name, each in studies.scores.estimates.items()
        ],
    }


def _study_rule(fraction: float | None) -> str:
    if fraction is None:
        return "the mean of the slices most likely to show a tumor, by the rule of its fold"
    if not fraction:
        return "that of the slice most likely to show a tumor"
    return f"the mean of the {percent(fraction)} of its slices most likely to show a tumor"


def _pictures(report: Report, section: str) -> list[_Picture]:
    return [_picture(figure) for figure in report.figures if figure.section == section]


def _picture(figure: Figure) -> _Picture:
    content = figure.path.read_bytes()
    # Width and height in dots stand at a fixed place of a PNG file (ISO/IEC 15948, 11.2.2).
    dots = struct.unpack(">II", content[16:24])
    width, height = (round(side / _DOTS_PER_PIXEL) for side in dots)
    uri = data_uri(content, "png")
    return _Picture(figure.title, figure.caption, uri, width, height, wide=width > _WIDE)


def _cost(run: Run) -> str:
    seconds = run.record.training_seconds
    if seconds is None:
        return ""
    size = f"{count(run.parameters, 'parameter')}; trained" if run.parameters else "Trained"
    return f"{size} in {duration(seconds)}."
