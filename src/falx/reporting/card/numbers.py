"""A model card in numbers: data, split, performance, calibration, limitations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from falx.evaluation.weighted_metrics import CALIBRATION_BINS, CLASS_METRICS, METRIC_NAMES
from falx.reporting.card.document import (
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
from falx.reporting.formatting import count, interval, number, percent, with_interval
from falx.reporting.words import report as sentences
from falx.reporting.words.audit import verdicts
from falx.reporting.words.metrics import GLOSSES
from falx.reporting.words.reliability import operating_point_words, reliability_words
from falx.reporting.words.volumes import VolumeRow, volume_rows, volume_words
from falx.statistics import Estimate, exact_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falx.evaluation.metrics import Scores
    from falx.evaluation.studies import StudyScores
    from falx.reporting.report import Report

ERRORS_SHOWN = 10
_AUDIT_CAPTION = (
    "Results of the audit; “fix”: something must be done, “check”: a person should have a look."
)
_MIN_PER_BIN = 50
_LOW_PREVALENCE = 0.01


def training_data(report: Report) -> Section:
    """The data, and what the audit found in them."""
    rows = tuple(
        (line(found.name), line(found.figure), line(found.tag), line(found.meaning))
        for found in verdicts(report.audit)
    )
    return Section(
        "Training data",
        (
            Paragraph(
                line(
                    "All slices of ",
                    code(report.audit.catalog.name),
                    ", including validation and test. Labels are the reference standard and were "
                    "taken as given.",
                )
            ),
            Table(_AUDIT_CAPTION, ("Check", "Result", "Verdict", "Meaning"), rows, (1,)),
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
    """How slices were split, and whether the test is independent of the training."""
    found, description = sentences.notice(report), report.record.split
    parts = report.run.parts
    blocks: list[Block] = [
        Paragraph(line(f"{description[:1].upper()}{description[1:]}. {found.heading}"))
    ]
    if parts:
        classes = tuple(parts[0].counts)
        rows = tuple(
            tuple(
                line(cell)
                for cell in (
                    part.name,
                    *map(count, part.counts.values()),
                    count(sum(part.counts.values())),
                    count(part.groups),
                )
            )
            for part in parts
        )
        head = ("Part", *classes, "Slices", "Groups")
        caption = "A group is the slices of one patient, or near-duplicates of one another."
        blocks.append(Table(caption, head, rows, tuple(range(1, len(head)))))
    return Section("Split", tuple(blocks))


def performance(report: Report) -> Section:
    """Every metric, over all slices and by class."""
    scores = report.scores
    sizes = f"{count(scores.n, 'slice')} in {count(scores.groups, 'group')}"
    repeats = f", mean of {scores.repeats} repeats" if scores.repeats > 1 else ""
    metrics = tuple(
        (line(METRIC_NAMES[name]), cell(estimate), line(GLOSSES[name]))
        for name, estimate in scores.estimates.items()
    )
    classes = tuple(
        (
            line(name),
            *(cell(row[metric]) for metric in CLASS_METRICS),
            line(count(scores.support[name])),
        )
        for name, row in scores.by_class.items()
    )
    blocks: list[Block] = [
        Paragraph(line(sentences.accuracy_words(scores))),
        Table(
            f"On {sizes}{repeats}; 95 % confidence intervals over groups.",
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
    rest = report.evaluation.without_leakage
    if rest:
        accuracy = rest.scores.estimates["accuracy"]
        blocks.append(
            Paragraph(
                line(
                    f"On the {count(rest.scores.n, 'slice')} that share no group with training, "
                    f"accuracy is {with_interval(accuracy)}."
                )
            )
        )
    if rows := volume_rows(report.evaluation):
        blocks += _of_volumes(report, rows)
    if report.evaluation.studies:
        blocks.append(_by_study(report.evaluation.studies))
    return Section("Performance", tuple(blocks))


def _of_volumes(report: Report, rows: list[VolumeRow]) -> list[Block]:
    found = tuple((line(name), cell(estimate), line(gloss)) for name, gloss, estimate in rows)
    return [
        *(Paragraph(line(words)) for words in volume_words(report.evaluation)),
        Table("In volumes.", ("Measure", "Value", "Meaning"), found),
    ]


def _by_study(studies: StudyScores) -> Table:
    rows = tuple(
        (line(METRIC_NAMES[name]), cell(estimate))
        for name, estimate in studies.scores.estimates.items()
    )
    caption = (
        f"By study: {count(studies.scores.n, 'study', 'studies')} of two slices or more"
        f"{sentences.unanswered_studies(studies)}."
    )
    return Table(caption, ("Metric", "Value"), rows)


def calibration(report: Report) -> Section:
    """Whether probabilities are calibrated, and where the decision threshold lies."""
    scores = report.scores
    frequencies = [support / scores.n for support in scores.support.values()]
    baseline = {
        "calibration_error": 0.0,
        "brier": frequencies[0] * frequencies[1]
        if report.binary
        else 1 - sum(frequency**2 for frequency in frequencies),
        "log_loss": -sum(each * math.log(each) for each in frequencies if each),
    }
    rows = tuple(
        (line(METRIC_NAMES[name]), cell(scores.estimates[name]), line(number(value)))
        for name, value in baseline.items()
    )
    head = ("Metric", "Value", "Predicting class frequencies")
    caption = f"Lower is better; expected calibration error in {CALIBRATION_BINS} bins."
    lines = [*_operating_point(report), *map(line, reliability_words(report.reliability))]
    if scores.n < _MIN_PER_BIN * CALIBRATION_BINS:
        lines.append(
            line(
                f"{count(scores.n, 'slice')} are few for {CALIBRATION_BINS} bins: by chance, even "
                "a perfectly calibrated model would have a calibration error above 0."
            )
        )
    return Section(
        "Calibration and operating point", (Table(caption, head, rows), Bullets(tuple(lines)))
    )


def _operating_point(report: Report) -> Iterator[Line]:
    scores, rules = report.scores, report.evaluation.predictions.median_rules
    if not report.binary:
        yield line("The most probable class is predicted; there is no threshold to set.")
        return
    positive = scores.classes[1]
    sensitivity, specificity = scores.estimates["sensitivity"], scores.estimates["specificity"]
    yield line(
        f"The decision threshold for “{positive}” is {number(rules.threshold, 2)} "
        f"({operating_point_words(rules.operating_point)}). At this operating point, "
        f"sensitivity is {sensitivity} and specificity {specificity}."
    )
    true_positives = sensitivity.value * _LOW_PREVALENCE
    false_positives = (1 - specificity.value) * (1 - _LOW_PREVALENCE)
    if true_positives + false_positives > 0:
        ppv = true_positives / (true_positives + false_positives)
        yield line(
            f"The prevalence of “{positive}” here is "
            f"{percent(scores.support[positive] / scores.n)}. At a prevalence of "
            f"{percent(_LOW_PREVALENCE)}, the positive predictive value would be {percent(ppv)}, "
            "and predicted probabilities would be far too high."
        )


def limitations(report: Report) -> Section:
    """Misclassified slices, and what the test can't show."""
    shown_class = f"“{report.scores.classes[1]}”" if report.binary else "the predicted class"
    errors = report.evaluation.predictions.misclassifications()
    repeated = report.scores.repeats > 1
    rows = tuple(
        (
            line(code(error.path)),
            line(error.label),
            line(error.predicted),
            line(number(error.probability)),
            *((line(f"{error.times} of {report.scores.repeats}"),) if repeated else ()),
        )
        for error in errors[:ERRORS_SHOWN]
    )
    head = (
        "Slice",
        "Label",
        "Predicted",
        f"Probability of {shown_class}",
        *["Misclassified in"] * repeated,
    )
    hidden = len(errors) - len(rows)
    first = "most often" if repeated else "most confidently"
    more = f"; {count(hidden)} more are in errors.csv" if hidden else ""
    blocks: list[Block] = (
        [Table(f"Misclassified slices, those {first} misclassified first{more}.", head, rows, (3,))]
        if rows
        else [Paragraph(line("No slice was misclassified."))]
    )
    bullets = [_rule_of_three(report.scores), *sentences.limitations(report)]
    return Section("Limitations", (*blocks, Bullets(tuple(map(line, bullets)))))


def _rule_of_three(scores: Scores) -> str:
    bound = exact_interval(0, scores.groups).high
    return (
        f"The test has {count(scores.groups, 'independent group')}. Even without a single error, "
        f"so few could not rule out an error rate of {percent(bound)}."
    )


def cell(estimate: Estimate) -> Line:
    if math.isnan(estimate.low):
        return line(number(estimate.value))
    return line(number(estimate.value), aside(interval(estimate)))
