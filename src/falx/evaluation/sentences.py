"""What a report says in words; all of it follows from the numbers and from the audit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from falx.evaluation.intervals import Estimate, wilson_interval
from falx.evaluation.metrics import Scores
from falx.evaluation.report import Report
from falx.evaluation.templates import (
    count,
    interval,
    listed,
    number,
    percent,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from falx.data.audit import Audit

PAPER_RIGHT, PAPER_N = 29, 32
PAPER = {
    "accuracy": wilson_interval(PAPER_RIGHT, PAPER_N),
    "roc_auc": Estimate(0.9909, math.nan, math.nan),
    "log_loss": Estimate(0.2775, math.nan, math.nan),
}
_WIDTHS = {5: "narrow", 10: "fair", 20: "wide", math.inf: "very wide"}  # up to so many points
_TOO_WIDE = 10  # points
_FEW = 100  # groups, below which a test is called small
_FEW_OF_CLASS = 10


@dataclass(frozen=True)
class Notice:
    """Whether the headline can be trusted: `state` is "fine", "look" or, if it can't, "act"."""

    state: str
    heading: str
    text: str


def lede(report: Report) -> str:
    """What the test got right and wrong, in counts."""
    scores = report.scores
    if scores.repeats > 1:
        return _repeated_lede(report)
    right = f"{count(int(scores.confusion.trace()))} of {tested(report)} called right"
    if not report.binary:
        return f"{right}, in {len(scores.classes)} classes."
    (_, alarms), (missed, _) = scores.confusion.tolist()
    negative, positive = scores.classes
    return (
        f"{right}: of {count(scores.support[positive])} “{positive}” it misses {count(missed)}, "
        f"of {count(scores.support[negative])} “{negative}” it calls {count(alarms)} “{positive}”."
    )


def _repeated_lede(report: Report) -> str:
    n, repeats = report.scores.n, report.scores.repeats
    always = sum(mistake.times == repeats for mistake in report.errors)
    return (
        f"Of {tested(report)}, {count(n - len(report.errors))} called right in all {repeats} "
        f"repeats, {count(always)} called wrong in all, {count(len(report.errors) - always)} in "
        "some."
    )


def tested(report: Report) -> str:
    return count(report.scores.n, "test slice" if report.kind == "report" else "slice")


def accuracy_words(scores: Scores) -> str:
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


def auc_words(scores: Scores) -> str:
    value = scores.estimates["roc_auc"].value
    if math.isnan(value):
        return "Undefined: a class has no slices in the test, or all of them."
    pairs = f"{percent(value)} of pairs"
    if len(scores.classes) > 2:
        return f"It ranks a class above the rest in {pairs}, on average; {percent(0.5)} is chance."
    negative, positive = scores.classes
    return f"It ranks “{positive}” above “{negative}” in {pairs}; {percent(0.5)} is chance."


def loss_words(scores: Scores) -> str:
    shares = [support / scores.n for support in scores.support.values() if support]
    baseline = -sum(share * math.log(share) for share in shares)
    words = f"0 is best; giving each class its share as probability makes {number(baseline, 2)}."
    if scores.estimates["log_loss"].value < baseline:
        return words
    return f"{words} Its own probabilities are worse: it is sure where it is wrong."


def notice(report: Report) -> Notice:
    slices = tested(report)
    if report.twins:
        verb = "has" if report.twins == 1 else "have"
        where = "in training" if report.kind == "report" else "among what the detector has seen"
        heading = f"Not independent: {count(report.twins)} of {slices} {verb} a twin {where}."
        text = "A twin is a copy, a near-copy or another slice of the same patient."
        if report.without_twins:
            text += f" {_without(report.without_twins)}"
        if report.kind == "report":
            text += " Train with a leak-free split, the default, to see what the recipe is worth."
        return Notice("act", heading, text)
    if report.split.startswith("random"):
        text = (
            f"None of {slices} has a twin in training, but by luck: the split is blind to copies."
        )
        return Notice("look", "The split was random.", text)
    if report.twins is None:
        text = "The detector came without its run, which names the slices that it was trained on."
        return Notice("look", "Whether slices were trained on can't be told.", text)
    if report.kind == "cross-validation":
        text = f"{_kept_together(report)} are in one fold.{_unknown_patients(report)}"
        return Notice("fine", "No slice was tested by a network that saw a twin of it.", text)
    if report.kind == "evaluation":
        text = "Copies and near-copies of what it was trained and validated on were looked for."
        return Notice("fine", f"None of {slices} is known to have a twin in training.", text)
    text = f"{_kept_together(report)} are on one side of the split.{_unknown_patients(report)}"
    return Notice("fine", f"None of {slices} has a twin in training.", text)


def _kept_together(report: Report) -> str:
    if _patients_known(report):
        return "Copies, near-copies and the slices of a patient"
    return "Copies and near-copies"


def _unknown_patients(report: Report) -> str:
    if _patients_known(report):
        return ""
    return " Slices of one patient that look different can't be told without patient numbers."


def _patients_known(report: Report) -> bool:
    return bool((report.audit.catalog.usable().table["patient"] != "").all())


def worth(report: Report) -> str:
    """What copies on both sides of a split are worth, or an empty string."""
    if report.blind is None:
        return ""
    own, other = report.scores.estimates["accuracy"], report.blind.estimates["accuracy"]
    gain = other.value - own.value
    worth = f"{number(gain)} more than here" if gain > 0 else f"that is no gain ({signed(gain)})"
    apart = own.high < other.low or other.high < own.low
    chance = " The intervals overlap, so chance alone can make as much of a difference."
    return (
        f"With a random split, {count(report.blind_twins)} of {count(report.blind.n)} test slices "
        "have a twin in training, and the same recipe reaches an accuracy of "
        f"{number(other.value)}: {worth}.{'' if apart else chance}{_blind_rest(report)}"
    )


def _blind_rest(report: Report) -> str:
    rest = report.blind_without_twins
    return f" There, {_without(rest)[0].lower()}{_without(rest)[1:]}" if rest else ""


def _without(rest: Scores) -> str:
    accuracy, auc = rest.estimates["accuracy"], rest.estimates["roc_auc"]
    return (
        f"On the {count(rest.n)} without a twin, accuracy is {number(accuracy.value)} "
        f"({interval(accuracy)}) and AUC {number(auc.value)}."
    )


def pretraining_words(about: Mapping[str, Any]) -> str:
    """What a backbone was pretrained on, and what was left out of that.

    Args:
        about: what environment.json says of a pretraining; by an older falx, without the share of
            phantoms in it.
    """
    share = about.get("phantoms")
    phantoms = f" Of each batch, {percent(share)} were phantoms." if share else ""
    removed = f"{count(about['removed'])} of its {count(about['slices'], 'slice')}"
    return (
        f"The backbone was first trained on {count(about['learned'], 'slice')} of "
        f"“{about['name']}”; {removed} share a group with a slice of this dataset and were left "
        f"out.{phantoms} On {count(about['held_out'])} held out it reached an accuracy of "
        f"{number(about['accuracy'])} and an AUC of {number(about['auc'])}."
    )


def refused_studies(study: Mapping[str, Any]) -> str:
    """What follows the number of studies scored where some got no answer."""
    if not study["refused"]:
        return ""
    return f"; {count(study['refused'])} more, of foreign slices alone, got no answer"


def paper_words() -> str:
    accuracy = PAPER["accuracy"]
    return (
        "The paper, “Brain Tumour Detection Using MobileNetV2” (2025), gives no intervals. Its "
        f"accuracy is {PAPER_RIGHT} of {PAPER_N} right, from which {percent(accuracy.low)} to "
        f"{percent(accuracy.high)} follows by Wilson's score interval (1927). Its test set was "
        "another one: numbers within one another's intervals can't be told apart."
    )


def limits(report: Report) -> Iterator[str]:
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
    if report.kind == "cross-validation":
        return (
            "Each number is of many networks, none of which is the detector that falx train "
            "makes of the same data; it says what the recipe is worth on slices like these."
        )
    if report.kind == "report":
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
