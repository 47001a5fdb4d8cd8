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

from falx.evaluation.audit_page import verdicts
from falx.evaluation.metrics import METRICS, Estimate, Scores, wilson_interval
from falx.evaluation.templates import (
    Mark,
    count,
    data_uri,
    digits,
    duration,
    interval,
    listed,
    mark,
    number,
    percent,
    signed,
    write_page,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from falx.data.audit import Audit
    from falx.recipe import Recipe

MISTAKES_SHOWN = 200

_PAPER_RIGHT, _PAPER_N = 29, 32
_PAPER = {
    "accuracy": wilson_interval(_PAPER_RIGHT, _PAPER_N),
    "roc_auc": Estimate(0.9909, math.nan, math.nan),
    "log_loss": Estimate(0.2775, math.nan, math.nan),
}
_GLOSSES = {
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
_WIDTHS = {5: "narrow", 10: "fair", 20: "wide", math.inf: "very wide"}  # up to so many points
_TOO_WIDE = 10  # points
_FEW = 100  # groups, below which a test is called small
_FEW_OF_CLASS = 10
_DOTS_A_PIXEL = 160 / 96
_ROW = 700  # pixels of width from which a figure takes a row of its own


@dataclass(frozen=True)
class PartCounts:
    """One part of a split: its slices of each class, and how many groups they make."""

    part: str
    counts: dict[str, int]
    groups: int


@dataclass(frozen=True)
class Figure:
    """A PNG file to show."""

    title: str
    caption: str
    path: Path


@dataclass(frozen=True)
class Mistake:
    """A misclassified slice; of two classes, the probability is that of the positive one."""

    path: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Report:
    """Everything that a report shows.

    Attributes:
        title: such as "paper on navoneel".
        audit: of the data.
        recipe: of the training.
        scores: on the test part.
        split: in words: "leak-free 70/15/15", "random 70/15/15", "as the data came", "all of DATA".
        parts: of the split; empty for an evaluation of another dataset.
        twins: test slices with a twin in training.
        blind: scores of the same recipe on a random split, where asked for.
        blind_twins: test slices of that split with a twin in its training part.
        figures: in the order to show.
        errors: misclassified test slices, the most confident mistake first.
        parameters: of the network; 0 where not known.
        seconds: that training took.
        environment: versions, machine, seed and hashes; may be nested.
        command: that repeats it.
        next_steps: what one can do now, each with its command.
        study: `falx.evaluation.studies.score_studies` of the test, where there are studies.
    """

    title: str
    audit: Audit
    recipe: Recipe
    scores: Scores
    split: str
    parts: tuple[PartCounts, ...]
    twins: int
    blind: Scores | None
    blind_twins: int
    figures: tuple[Figure, ...]
    errors: tuple[Mistake, ...]
    parameters: int
    seconds: float
    environment: dict[str, Any]
    command: str
    next_steps: tuple[tuple[str, str], ...]
    study: dict[str, Any] | None = None

    @property
    def trained(self) -> bool:
        """Whether it is about a training, not about an evaluation of another dataset."""
        return bool(self.parts)

    @property
    def binary(self) -> bool:
        return len(self.scores.classes) == 2


@dataclass(frozen=True)
class _Big:
    """A number of the headline, and what it means."""

    label: str
    value: str
    span: str
    drawing: Mark | None
    meaning: str


@dataclass(frozen=True)
class _Notice:
    """Whether the headline can be trusted: `state` is "fine", "look" or, if it can't, "act"."""

    state: str
    heading: str
    text: str


@dataclass(frozen=True)
class _Column:
    """One set of scores in the table of numbers."""

    title: str
    note: str
    estimates: Mapping[str, Estimate]
    write: Callable[[float | None, int], str] = number
    places: int = 3


@dataclass(frozen=True)
class _Cell:
    value: str
    span: str = ""


@dataclass(frozen=True)
class _Row:
    name: str
    gloss: str
    cells: tuple[_Cell, ...]
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
    shown = report.errors[:MISTAKES_SHOWN]
    write_page(
        path,
        "report.html.j2",
        report=report,
        lede=_lede(report),
        bigs=_bigs(report.scores),
        notice=_notice(report),
        verdicts=verdicts(report.audit),
        columns=columns,
        rows=[_row(name, columns) for name in METRICS if name in report.scores.estimates],
        worth=_worth(report),
        paper=_paper_words() if report.binary else "",
        classes=_class_rows(report.scores),
        study=_study(report.study),
        figures=[_picture(figure) for figure in report.figures],
        asked=f"“{report.scores.classes[1]}”" if report.binary else "the answer",
        mistakes=[(m.path, m.label, m.predicted, number(m.probability)) for m in shown],
        mistakes_hidden=len(report.errors) - len(shown),
        effort=_effort(report),
        recipe=report.recipe.to_yaml(),
        limits=list(_limits(report)),
        facts=list(_facts(report.environment)),
    )


def _lede(report: Report) -> str:
    """What the test got right and wrong, in counts."""
    scores = report.scores
    right = f"{count(int(scores.confusion.trace()))} of {_tested(report)} called right"
    if not report.binary:
        return f"{right}, in {len(scores.classes)} classes."
    (_, alarms), (missed, _) = scores.confusion.tolist()
    negative, positive = scores.classes
    return (
        f"{right}: of {count(scores.support[positive])} “{positive}” it misses {count(missed)}, "
        f"of {count(scores.support[negative])} “{negative}” it calls {count(alarms)} “{positive}”."
    )


def _tested(report: Report) -> str:
    return count(report.scores.n, "test slice" if report.trained else "slice")


def _bigs(scores: Scores) -> tuple[_Big, ...]:
    found = scores.estimates
    return (
        _big("Accuracy", found["accuracy"], _accuracy_words(scores), drawn=True),
        _big("ROC AUC", found["roc_auc"], _auc_words(scores), drawn=True),
        _big("Log loss", found["log_loss"], _loss_words(scores), drawn=False),
    )


def _big(label: str, estimate: Estimate, meaning: str, *, drawn: bool) -> _Big:
    known, places = not math.isnan(estimate.low), digits(estimate)
    span = f"95 % interval {interval(estimate, places)}" if known else "no interval can be given"
    return _Big(
        label, number(estimate.value, places), span, mark(estimate) if drawn else None, meaning
    )


def _accuracy_words(scores: Scores) -> str:
    estimate = scores.estimates["accuracy"]
    commonest = max(scores.support, key=lambda name: scores.support[name])
    baseline = scores.support[commonest] / scores.n
    words = f"Always answering “{commonest}” would be right in {percent(baseline)}"
    if math.isnan(estimate.low):
        return f"{words}."
    doubt = ", which the interval does not rule out" if estimate.low <= baseline else ""
    return f"{words}{doubt}. {_width_words(scores)}"


def _width_words(scores: Scores) -> str:
    estimate = scores.estimates["accuracy"]
    points = 100 * (estimate.high - estimate.low)
    size = next(name for limit, name in _WIDTHS.items() if points < limit)
    wide = f"The interval is {size}, {count(round(points), 'point')}; it rests on "
    return f"{wide}{_observed(scores)}{', too few to say more' if points >= _TOO_WIDE else ''}."


def _observed(scores: Scores) -> str:
    slices = count(scores.n, "slice")
    return slices if scores.groups == scores.n else f"{slices} in {count(scores.groups, 'group')}"


def _auc_words(scores: Scores) -> str:
    value = scores.estimates["roc_auc"].value
    if math.isnan(value):
        return "Undefined: a class has no slices in the test, or all of them."
    pairs = f"{percent(value)} of pairs"
    if len(scores.classes) > 2:
        return f"It ranks a class above the rest in {pairs}, on average; {percent(0.5)} is chance."
    negative, positive = scores.classes
    return f"It ranks “{positive}” above “{negative}” in {pairs}; {percent(0.5)} is chance."


def _loss_words(scores: Scores) -> str:
    shares = [support / scores.n for support in scores.support.values() if support]
    baseline = -sum(share * math.log(share) for share in shares)
    words = f"0 is best; giving each class its share as probability makes {number(baseline, 2)}."
    if scores.estimates["log_loss"].value < baseline:
        return words
    return f"{words} Its own probabilities are worse: it is sure where it is wrong."


def _notice(report: Report) -> _Notice:
    tested = _tested(report)
    if report.twins:
        verb = "has" if report.twins == 1 else "have"
        heading = f"Too good: {count(report.twins)} of {tested} {verb} a twin in training."
        remedy = (
            "Train again with a leak-free split, the default, to see what the recipe is worth."
            if report.trained
            else "metrics.json holds the numbers without them, where enough slices are left."
        )
        twin = "A twin is a copy, a near-copy or another slice of the same patient."
        return _Notice("act", heading, f"{twin} {remedy}")
    if report.split.startswith("random"):
        text = (
            f"None of {tested} has a twin in training, but by luck: the split is blind to copies."
        )
        return _Notice("look", "The split was random.", text)
    if not report.trained:
        text = "Copies and near-copies of the slices that it was trained on were looked for."
        return _Notice("fine", f"None of {tested} is known to have a twin in training.", text)
    text = "Copies, near-copies and the slices of a patient are on one side of the split."
    return _Notice("fine", f"None of {tested} has a twin in training.", text)


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
        yield _Column("The paper", f"as published, n\u00a0=\u00a0{_PAPER_N}", _PAPER, places=4)


def _row(name: str, columns: list[_Column]) -> _Row:
    cells = tuple(_cell(column, name) for column in columns)
    drawing = mark(columns[0].estimates[name]) if name in _DRAWN else None
    return _Row(METRICS[name], _GLOSSES[name], cells, drawing)


def _cell(column: _Column, name: str) -> _Cell:
    estimate = column.estimates.get(name, Estimate(math.nan, math.nan, math.nan))
    return _Cell(column.write(estimate.value, column.places), _span(estimate))


def _span(estimate: Estimate) -> str:
    return "" if math.isnan(estimate.low) else interval(estimate)


def _worth(report: Report) -> str:
    """What copies on both sides of a split are worth, or an empty string."""
    if report.blind is None:
        return ""
    own, other = report.scores.estimates["accuracy"], report.blind.estimates["accuracy"]
    gain = other.value - own.value
    worth = (
        f"the copies are worth {number(gain)}" if gain > 0 else f"that is no gain ({signed(gain)})"
    )
    apart = own.high < other.low or other.high < own.low
    chance = " The intervals overlap, so chance alone can make as much of a difference."
    return (
        f"With a random split, {count(report.blind_twins)} of {count(report.blind.n)} test slices "
        "have a twin in training, and the same recipe reaches an accuracy of "
        f"{number(other.value)}: {worth}.{'' if apart else chance}"
    )


def _paper_words() -> str:
    accuracy = _PAPER["accuracy"]
    return (
        "The paper, “Brain Tumour Detection Using MobileNetV2” (2025), gives no intervals. Its "
        f"accuracy is {_PAPER_RIGHT} of {_PAPER_N} right, from which {percent(accuracy.low)} to "
        f"{percent(accuracy.high)} follows by Wilson's score interval (1927). Its test set was "
        "another one: numbers within one another's intervals can't be told apart."
    )


def _class_rows(scores: Scores) -> list[tuple[str, tuple[_Cell, ...], str]]:
    return [
        (name, tuple(map(_written, row.values())), count(scores.support[name]))
        for name, row in scores.by_class.items()
    ]


def _written(estimate: Estimate) -> _Cell:
    return _Cell(number(estimate.value), _span(estimate))


def _study(study: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Scores a study as rows, and what a study's answer is made of."""
    if study is None:
        return None
    mean = f"the mean of those of its strongest {percent(study['share'])} of slices"
    return {
        "n": count(study["n"], "study", "studies"),
        "answer": mean if study["share"] else "that of its strongest slice",
        "rows": [(METRICS[name], _from_json(study[name])) for name in METRICS if name in study],
    }


def _from_json(entry: Mapping[str, float | None]) -> _Cell:
    numbers = {key: math.nan if bound is None else bound for key, bound in entry.items()}
    return _written(Estimate(**numbers))


def _picture(figure: Figure) -> _Picture:
    content = figure.path.read_bytes()
    # Width and height in dots stand at a fixed place of a PNG file (ISO/IEC 15948, 11.2.2).
    dots = struct.unpack(">II", content[16:24])
    width, height = (round(side / _DOTS_A_PIXEL) for side in dots)
    uri = data_uri(content, "png")
    return _Picture(figure.title, figure.caption, uri, width, height, wide=width > _ROW)


def _effort(report: Report) -> str:
    size = f"{count(report.parameters, 'parameter')}; trained" if report.parameters else "Trained"
    return f"{size} in {duration(report.seconds)}."


def _limits(report: Report) -> Iterator[str]:
    """What these numbers can't tell, from the facts of this very test."""
    yield from _size_limits(report.scores)
    yield _split_limit(report)
    yield from _data_limits(report.audit)
    yield "Labels are taken as they came; nothing here checks them against a reader or histology."
    yield (
        "Which scanners, sequences and hospitals the slices are from is not recorded. Slices from "
        "elsewhere can fare worse; test on some."
    )


def _size_limits(scores: Scores) -> Iterator[str]:
    estimate = scores.estimates["accuracy"]
    if scores.groups < _FEW:
        yield (
            f"The test is small: {_observed(scores)}. One slice more or less right moves accuracy "
            f"by {number(100 / scores.n, 1)} points."
        )
    if not math.isnan(estimate.low):
        yield (
            f"The accuracy of {number(estimate.value)} stands for anything from "
            f"{interval(estimate)}. As far as this test can tell, a model with another accuracy in "
            "there is neither better nor worse."
        )
    rare = [f"{n} of “{name}”" for name, n in scores.support.items() if n < _FEW_OF_CLASS]
    if rare:
        yield f"The test holds only {listed(rare)}: numbers by class mean little there."


def _split_limit(report: Report) -> str:
    if report.trained:
        return (
            "This is one split with one seed. Other seeds give other numbers; a cross-validation, "
            "in which every slice is tested once, says more."
        )
    return (
        "This is another dataset than the one trained on; what its labels mean, and how its slices "
        "were chosen, may differ too."
    )


def _data_limits(audit: Audit) -> Iterator[str]:
    patients = audit.catalog.usable().table["patient"]
    unnamed = int((patients == "").sum())
    if unnamed:
        whose = "No slice has" if unnamed == len(patients) else f"{count(unnamed)} slices lack"
        yield (
            f"{whose} a patient number, so groups are made of near-duplicates only. Slices of one "
            "patient that look different may be on both sides of a split, which flatters."
        )
    if audit.conflicts:
        many = count(len(audit.conflicts), "group")
        yield f"{many} of slices that belong together, with contradicting labels, left in."
    if audit.foreign:
        many = count(len(audit.foreign), "slice")
        yield f"{many} unlike the rest, left in; whether each shows a brain is for a person to say."
    yield _shortcut_limit(audit)


def _shortcut_limit(audit: Audit) -> str:
    alarming = [
        f"{shortcut.probe} (AUC {number(shortcut.auc, 2)})"
        for shortcut in audit.shortcuts
        if shortcut.alarming
    ]
    if alarming:
        return (
            f"The class can be told without the brain, from {listed(alarming)}. Part of these "
            "numbers may be owed to that and not to tumors."
        )
    if not audit.shortcuts:
        return "Shortcuts were not probed: a class has too few groups."
    return "Two probes found no alarming shortcut; there may be others, such as burnt-in marks."


def _facts(environment: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each entry, nested ones with their parents' names before them."""
    for key, value in environment.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if key in {"command", "training_seconds"}:
            continue
        if isinstance(value, Mapping):
            yield from _facts(value, "" if key == "versions" else f"{name} ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or number(None)
        else:
            yield name, number(None) if value is None else str(value)
