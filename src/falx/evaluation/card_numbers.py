"""What a model card says in numbers: the data, the test, its subgroups, its limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from falx.detect.rules import Rules
from falx.evaluation import sentences
from falx.evaluation.document import (
    Block,
    Bullets,
    Line,
    Paragraph,
    Section,
    Table,
    aside,
    code,
    line,
    to_fill_in,
)
from falx.evaluation.intervals import Estimate, clopper_pearson
from falx.evaluation.report_page import GLOSSES
from falx.evaluation.templates import count, interval, number, percent
from falx.evaluation.trust_words import operating_words, trust_words
from falx.evaluation.verdicts import verdicts
from falx.evaluation.weighted import BY_CLASS, CALIBRATION_BINS, METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from falx.evaluation.metrics import Scores
    from falx.evaluation.report import Report

MISTAKES_SHOWN = 10
_AUDIT_CAPTION = (
    "What an audit found: act means that something must be done, look that a person should look."
)
_FEW_A_BIN = 50
_RARE = 0.01


def training_data(report: Report) -> Section:
    """What it learned from, and what is wrong with that."""
    rows = tuple(
        (line(found.name), line(found.figure), line(found.state), line(found.meaning))
        for found in verdicts(report.audit)
    )
    return Section(
        "Training data",
        (
            Paragraph(
                line(
                    "All slices of ",
                    code(report.audit.catalog.root.name),
                    ", those of validation and test included. Labels are the reference standard, "
                    "and were taken as they came.",
                )
            ),
            Table(_AUDIT_CAPTION, ("Looked at", "Found", "Verdict", "Meaning"), rows, (1,)),
            Bullets(
                (
                    to_fill_in(
                        "where and when the slices were acquired, on which scanners, with which "
                        "sequences and planes, of which patients (age, sex, ethnicity)."
                    ),
                    to_fill_in("who labeled them, by which standard, and how well readers agree."),
                )
            ),
        ),
    )


def split(report: Report) -> Section:
    """How test slices were kept apart from training slices, and whether they were."""
    found = sentences.notice(report)
    blocks: list[Block] = [
        Paragraph(line(f"{report.split[:1].upper()}{report.split[1:]}. {found.heading}"))
    ]
    if report.parts:
        classes = tuple(report.parts[0].counts)
        rows = tuple(
            tuple(
                line(cell)
                for cell in (
                    part.part,
                    *map(count, part.counts.values()),
                    count(sum(part.counts.values())),
                    count(part.groups),
                )
            )
            for part in report.parts
        )
        head = ("Part", *classes, "Slices", "Groups")
        caption = "A group is the slices of one patient, or near-duplicates of one another."
        blocks.append(Table(caption, head, rows, tuple(range(1, len(head)))))
    return Section("Split", tuple(blocks))


def numbers(report: Report) -> Section:
    """What the test gave, over all and by class."""
    scores = report.scores
    sizes = f"{count(scores.n, 'slice')} in {count(scores.groups, 'group')}"
    repeats = f", mean of {scores.repeats} repeats" if scores.repeats > 1 else ""
    metrics = tuple(
        (line(METRICS[name]), cell(estimate), line(GLOSSES[name]))
        for name, estimate in scores.estimates.items()
    )
    classes = tuple(
        (
            line(name),
            *(cell(row[metric]) for metric in BY_CLASS),
            line(count(scores.support[name])),
        )
        for name, row in scores.by_class.items()
    )
    blocks: list[Block] = [
        Paragraph(line(sentences.accuracy_words(scores))),
        Table(
            f"On {sizes}{repeats}; 95 % intervals over groups.",
            ("Metric", "Value", "Meaning"),
            metrics,
        ),
        Table(
            "By class.",
            ("Class", "Precision", "Recall", "F1", "Slices"),
            classes,
            (4,),
        ),
    ]
    if report.without_twins:
        accuracy = report.without_twins.estimates["accuracy"]
        blocks.append(
            Paragraph(
                line(
                    f"On the {count(report.without_twins.n, 'slice')} without a twin in training, "
                    f"accuracy is {number(accuracy.value)} ({interval(accuracy)})."
                )
            )
        )
    if report.study:
        blocks.append(_by_study(report.study))
    return Section("Numbers", tuple(blocks))


def _by_study(study: Mapping[str, Any]) -> Table:
    """Scores a study, of which falx.evaluation.studies.score_studies is the source."""
    rows = tuple(
        (line(METRICS[name]), cell(Estimate.from_dict(study[name])))
        for name in METRICS
        if name in study
    )
    caption = (
        f"By study: {count(study['n'], 'study', 'studies')} of two slices or more"
        f"{sentences.refused_studies(study)}."
    )
    return Table(caption, ("Metric", "Value"), rows)


def calibration(report: Report, rules: Rules) -> Section:
    """Whether probabilities can be taken at their word, and where the line is drawn."""
    scores = report.scores
    shares = [support / scores.n for support in scores.support.values()]
    ignorant = {
        "calibration_error": 0.0,
        "brier": shares[0] * shares[1] if report.binary else 1 - sum(s**2 for s in shares),
        "log_loss": -sum(share * math.log(share) for share in shares if share),
    }
    rows = tuple(
        (line(METRICS[name]), cell(scores.estimates[name]), line(number(value)))
        for name, value in ignorant.items()
    )
    head = ("Metric", "Value", "By giving each class its share")
    caption = f"Lower is better; calibration error is the expected one, in {CALIBRATION_BINS} bins."
    lines = [*_operating_point(report, rules), *map(line, trust_words(report.trust))]
    if scores.n < _FEW_A_BIN * CALIBRATION_BINS:
        lines.append(
            line(
                f"{count(scores.n, 'slice')} are few for {CALIBRATION_BINS} bins: chance alone "
                "gives even a perfectly calibrated model a calibration error."
            )
        )
    return Section(
        "Calibration and operating point", (Table(caption, head, rows), Bullets(tuple(lines)))
    )


def _operating_point(report: Report, rules: Rules) -> Iterator[Line]:
    scores = report.scores
    if not report.binary:
        yield line("The most probable class is the answer; there is no threshold to set.")
        return
    positive = scores.classes[1]
    found = scores.estimates["sensitivity"], scores.estimates["specificity"]
    sensitivity, specificity = found
    yield line(
        f"A slice is called “{positive}” from a probability of {number(rules.threshold, 2)} on "
        f"({operating_words(rules.operating_point)}). There, "
        f"sensitivity is {sensitivity}, specificity {specificity}."
    )
    hits, alarms = sensitivity.value * _RARE, (1 - specificity.value) * (1 - _RARE)
    if hits + alarms > 0:
        yield line(
            f"The prevalence of “{positive}” here is "
            f"{percent(scores.support[positive] / scores.n)}. At a prevalence of {percent(_RARE)}, "
            f"the positive predictive value would be {percent(hits / (hits + alarms))}, and the "
            "probabilities far too high."
        )


def limits(report: Report) -> Section:
    """Where it is known to be wrong, and what the test can't tell."""
    asked = f"“{report.scores.classes[1]}”" if report.binary else "the answer"
    repeated = report.scores.repeats > 1
    rows = tuple(
        (
            line(code(mistake.path)),
            line(mistake.label),
            line(mistake.predicted),
            line(number(mistake.probability)),
            *((line(f"{mistake.times} of {report.scores.repeats}"),) if repeated else ()),
        )
        for mistake in report.errors[:MISTAKES_SHOWN]
    )
    head = ("Slice", "Label", "Predicted", f"Probability of {asked}", *["Wrong in"] * repeated)
    hidden = len(report.errors) - len(rows)
    first = "most often" if repeated else "most confidently"
    more = f"; {count(hidden)} more are in errors.csv" if hidden else ""
    blocks: list[Block] = (
        [Table(f"Slices called wrong, those {first} first{more}.", head, rows, (3,))]
        if rows
        else [Paragraph(line("No test slice was called wrong."))]
    )
    said = [_claim(report.scores), *sentences.limits(report)]
    return Section("Known limits", (*blocks, Bullets(tuple(map(line, said)))))


def _claim(scores: Scores) -> str:
    bound = clopper_pearson(0, scores.groups)[1]
    return (
        f"The test holds {count(scores.groups, 'group')}; it has no more independent observations "
        "than that. Even without a single error, so many could not rule out that "
        f"{percent(bound)} are wrong."
    )


def cell(estimate: Estimate) -> Line:
    if math.isnan(estimate.low):
        return line(number(estimate.value))
    return line(number(estimate.value), aside(interval(estimate)))
