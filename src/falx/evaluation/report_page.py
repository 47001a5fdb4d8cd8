"""The report of a training or an evaluation: one HTML file, the honest number first.

What the report says in words follows from the numbers and from the audit; nothing is said of a
model that its own test can't bear.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from falx.evaluation import map_words, sentences
from falx.evaluation.cells import Cell, cell_of, span_of
from falx.evaluation.hiding_words import hiding_words
from falx.evaluation.intervals import Estimate
from falx.evaluation.metrics import Scores
from falx.evaluation.report import Figure, FoldScores, Report
from falx.evaluation.templates import (
    Mark,
    count,
    data_uri,
    digits,
    duration,
    first_few,
    interval,
    mark,
    number,
    percent,
    signed,
    write_page,
)
from falx.evaluation.trust_words import trust_table
from falx.evaluation.verdicts import DOUBTS_ADVICE, verdicts
from falx.evaluation.weighted import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


MISTAKES_SHOWN = 200
DOUBTS_SHOWN = 200

GLOSSES = {
    "accuracy": "share of slices called right",
    "balanced_accuracy": "the same, with every class counting alike",
    "sensitivity": "share of the positive that is found",
    "specificity": "share of the negative that is left alone",
    "precision": "share of alarms that is right",
    "f1": "harmonic mean of precision and sensitivity",
    "roc_auc": "0.5 is a coin toss, 1 is perfect order",
    "average_precision": "area under the precision-recall curve",
    "log_loss": "lower is better",
    "brier": "squared error of the probability; lower is better",
    "calibration_error": "how far probabilities are from shares; lower is better",
    "mcc": "from −1 to 1; 0 is no better than chance",
}
_DRAWN = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1",
          "roc_auc", "average_precision")  # fmt: skip
_DOTS_A_PIXEL = 160 / 96
_ROW = 700  # pixels of width from which a figure takes a row of its own


@dataclass(frozen=True)
class _Big:
    """A number of the headline, and what it means."""

    label: str
    value: str
    span: str
    drawing: Mark | None
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
    drawing: Mark | None


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
        report: what to say.
        path: the file to write; it is replaced if it exists.
    """
    columns = list(_columns(report))
    repeats = report.scores.repeats
    shown, doubts = report.errors[:MISTAKES_SHOWN], report.audit.doubts()
    before = report.environment.get("pretraining")
    write_page(
        path,
        "report.html.j2",
        report=report,
        lede=sentences.lede(report),
        bigs=_bigs(report.scores),
        notice=sentences.notice(report),
        verdicts=verdicts(report.audit),
        pretraining=sentences.pretraining_words(before) if before else "",
        columns=columns,
        rows=[_row(name, columns) for name in METRICS if name in report.scores.estimates],
        worth=sentences.worth(report),
        paper=sentences.paper_words() if report.binary else "",
        classes=_class_rows(report.scores),
        trust=trust_table(report.trust),
        study=_study(report.study),
        shortcuts=list(hiding_words(report.border, report.hidden)),
        maps=map_words.against_masks(report.maps),
        checks=map_words.checks(report.map_checks, report.scores.classes),
        figures=[_picture(figure) for figure in report.figures],
        asked=f"“{report.scores.classes[1]}”" if report.binary else "the answer",
        mistakes=[
            (m.path, m.label, m.predicted, number(m.probability), f"{m.times} of {repeats}")
            for m in shown
        ],
        repeats=repeats,
        folds=[_fold_row(fold) for fold in report.folds],
        mistakes_hidden=len(report.errors) - len(shown),
        checked=report.audit.label_check,
        doubts=[_doubt_row(doubt, repeats) for doubt in doubts[:DOUBTS_SHOWN]],
        doubts_hidden=len(doubts[DOUBTS_SHOWN:]),
        doubts_advice=DOUBTS_ADVICE,
        effort=_effort(report),
        recipe=report.recipe.to_yaml() if report.recipe else "",
        limits=list(sentences.limits(report)),
        facts=list(facts(report.environment)),
    )


def _bigs(scores: Scores) -> tuple[_Big, ...]:
    found = scores.estimates
    return (
        _big("Accuracy", found["accuracy"], sentences.accuracy_words(scores), drawn=True),
        _big("ROC AUC", found["roc_auc"], sentences.auc_words(scores), drawn=True),
        _big("Log loss", found["log_loss"], sentences.loss_words(scores), drawn=False),
    )


def _big(label: str, estimate: Estimate, meaning: str, *, drawn: bool) -> _Big:
    known, places = not math.isnan(estimate.low), digits(estimate)
    span = f"95 % interval {interval(estimate, places)}" if known else "no interval can be given"
    return _Big(
        label, number(estimate.value, places), span, mark(estimate) if drawn else None, meaning
    )


def _columns(report: Report) -> Iterator[_Column]:
    scores, blind = report.scores, report.blind
    yield _Column(
        "This report", f"{report.split}, n\u00a0=\u00a0{count(scores.n)}", scores.estimates
    )
    if blind:
        note = f"n\u00a0=\u00a0{count(blind.n)}, {count(report.blind_twins)} with a twin"
        yield _Column("Random split", note, blind.estimates)
        gains = {
            name: Estimate(blind.estimates[name].value - own.value, math.nan, math.nan)
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
    drawing = mark(columns[0].estimates[name]) if name in _DRAWN else None
    return _Row(METRICS[name], GLOSSES[name], cells, drawing)


def _cell(column: _Column, name: str) -> Cell:
    estimate = column.estimates.get(name, Estimate(math.nan, math.nan, math.nan))
    return Cell(column.write(estimate.value, column.places), span_of(estimate))


def _class_rows(scores: Scores) -> list[tuple[str, tuple[Cell, ...], str]]:
    return [
        (name, tuple(map(cell_of, row.values())), count(scores.support[name]))
        for name, row in scores.by_class.items()
    ]


def _fold_row(fold: FoldScores) -> tuple[str, ...]:
    found = fold.scores.estimates
    values = [number(found[name].value) for name in ("accuracy", "roc_auc", "log_loss")]
    sizes = count(fold.scores.n), count(fold.scores.groups)
    return (str(fold.repeat), str(fold.fold), *sizes, *values)


def _doubt_row(doubt: Mapping[str, Any], repeats: int) -> tuple[str, ...]:
    times = f"{doubt['times']} of {repeats}"
    given = doubt["path"], doubt["label"], doubt["suggested"], number(doubt["probability"])
    return (*given, times, first_few(doubt["group"]))


def _study(study: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Scores a study as rows, and what a study's answer is made of."""
    if study is None:
        return None
    mean = f"the mean of those of its strongest {percent(study['share'])} of slices"
    return {
        "n": count(study["n"], "study", "studies"),
        "refused": sentences.refused_studies(study),
        "answer": mean if study["share"] else "that of its strongest slice",
        "rows": [(METRICS[name], _from_json(study[name])) for name in METRICS if name in study],
    }


def _from_json(entry: Mapping[str, float | None]) -> Cell:
    return cell_of(Estimate.from_dict(entry))


def _picture(figure: Figure) -> _Picture:
    content = figure.path.read_bytes()
    # Width and height in dots stand at a fixed place of a PNG file (ISO/IEC 15948, 11.2.2).
    dots = struct.unpack(">II", content[16:24])
    width, height = (round(side / _DOTS_A_PIXEL) for side in dots)
    uri = data_uri(content, "png")
    return _Picture(figure.title, figure.caption, uri, width, height, wide=width > _ROW)


def _effort(report: Report) -> str:
    if report.seconds is None:
        return ""
    size = f"{count(report.parameters, 'parameter')}; trained" if report.parameters else "Trained"
    return f"{size} in {duration(report.seconds)}."


def facts(environment: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each entry, nested ones with their parents' names before them."""
    for key, value in environment.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if key in {"command", "training_seconds"}:
            continue
        if isinstance(value, Mapping):
            yield from facts(value, "" if key == "versions" else f"{name} ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or number(None)
        else:
            yield name, number(None) if value is None else str(value)
