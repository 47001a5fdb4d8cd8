"""The sentences of a report; all of them follow from the numbers and from the audit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from falx.data.auditing import Audit
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.metrics import Scores
from falx.evaluation.studies import StudyScores
from falx.reporting.formatting import (
    count,
    interval,
    listed,
    number,
    percent,
    signed,
    with_interval,
)
from falx.reporting.report import Report
from falx.statistics import MIN_GROUPS, Estimate, wilson_interval

PAPER_CORRECT, PAPER_N = 29, 32
PAPER = {
    "accuracy": wilson_interval(PAPER_CORRECT, PAPER_N),
    "roc_auc": Estimate(0.9909, math.nan, math.nan),
    "log_loss": Estimate(0.2775, math.nan, math.nan),
}
_WIDTHS = {5: "narrow", 10: "moderate", 20: "wide", math.inf: "very wide"}  # below so many points
_TOO_WIDE = 10  # points
_FEW_GROUPS = 100  # below which a test is called small
_FEW_OF_CLASS = 10


@dataclass(frozen=True)
class Notice:
    """Whether the headline can be trusted: `state` is "fine", "look" or, if it can't, "act"."""

    state: str
    heading: str
    text: str


def lede(report: Report) -> str:
    """What was classified correctly and what was not, in counts."""
    scores = report.scores
    if scores.repeats > 1:
        return _repeated_lede(report)
    correct = f"{count(int(scores.confusion.trace()))} of {tested(report)} classified correctly"
    if not report.binary:
        return f"{correct}, in {len(scores.classes)} classes."
    (_, false_positives), (false_negatives, _) = scores.confusion.tolist()
    negative, positive = scores.classes
    return (
        f"{correct}: of {count(scores.support[positive])} “{positive}”, "
        f"{count(false_negatives, 'false negative')}; of {count(scores.support[negative])} "
        f"“{negative}”, {count(false_positives, 'false positive')}."
    )


def _repeated_lede(report: Report) -> str:
    n, repeats = report.scores.n, report.scores.repeats
    times = report.evaluation.predictions.times_wrong
    never, always = int((times == 0).sum()), int((times == repeats).sum())
    return (
        f"Of {tested(report)}, {count(never)} were classified correctly in all {repeats} repeats, "
        f"{count(always)} misclassified in all, and {count(n - never - always)} in some."
    )


def tested(report: Report) -> str:
    """How many slices were tested."""
    return count(report.scores.n, "test slice" if report.kind == "training" else "slice")


def accuracy_words(scores: Scores) -> str:
    """The majority-class baseline, and how wide the interval of the accuracy is."""
    estimate = scores.estimates["accuracy"]
    majority = max(scores.support, key=lambda name: scores.support[name])
    baseline = scores.support[majority] / scores.n
    words = f"Majority-class baseline (always “{majority}”): {percent(baseline)}"
    if math.isnan(estimate.low):
        return f"{words}."
    inside = ", inside the confidence interval" if estimate.low <= baseline else ""
    return f"{words}{inside}. {_width_words(scores)}"


def _width_words(scores: Scores) -> str:
    estimate = scores.estimates["accuracy"]
    points = 100 * (estimate.high - estimate.low)
    size = next(name for bound, name in _WIDTHS.items() if points < bound)
    few = ", too few for a precise estimate" if points >= _TOO_WIDE else ""
    width = f"{size} ({count(round(points), 'percentage point')})"
    return f"The interval is {width}: it rests on {_sample_size(scores)}{few}."


def _sample_size(scores: Scores) -> str:
    slices = count(scores.n, "slice")
    return slices if scores.groups == scores.n else f"{slices} in {count(scores.groups, 'group')}"


def few_groups_words(scores: Scores) -> str:
    """Why numbers stand without intervals; empty where groups are enough for them."""
    if scores.groups >= MIN_GROUPS:
        return ""
    return (
        f"The test has {count(scores.groups, 'group')}, such as patients. Fewer than {MIN_GROUPS} "
        "are too few for bootstrap confidence intervals; only where all agree is an exact one "
        "given."
    )


def auc_words(scores: Scores) -> str:
    """What the AUC means."""
    value = scores.estimates["roc_auc"].value
    if math.isnan(value):
        return "Undefined: a class has no slices."
    pairs = f"{percent(value)} of pairs"
    if len(scores.classes) > 2:
        return f"Ranks a class above the rest in {pairs}, on average; {percent(0.5)} is chance."
    negative, positive = scores.classes
    return f"Ranks “{positive}” above “{negative}” in {pairs}; {percent(0.5)} is chance."


def loss_words(scores: Scores) -> str:
    """The log loss beside that of the class frequencies."""
    frequencies = [support / scores.n for support in scores.support.values() if support]
    baseline = -sum(frequency * math.log(frequency) for frequency in frequencies)
    words = f"0 is perfect; predicting the class frequencies gives {number(baseline, 2)}."
    if scores.estimates["log_loss"].value < baseline:
        return words
    return f"{words} These probabilities are worse: they are overconfident."


def notice(report: Report) -> Notice:
    """Whether the test is independent of the training."""
    slices, leaked = tested(report), report.evaluation.n_leaked
    if leaked:
        verb = "shares" if leaked == 1 else "share"
        others = "training slices" if report.kind == "training" else "slices the detector has seen"
        heading = f"Not independent: {count(leaked)} of {slices} {verb} a group with {others}."
        text = "A group is the slices of one patient, or near-duplicates of one another."
        if report.evaluation.without_leakage:
            text += f" {_without_leakage(report.evaluation.without_leakage)}"
        if report.kind == "training":
            text += " A leak-free split, the default, shows what the recipe is worth."
        return Notice("act", heading, text)
    none_leaked = f"None of {slices} shares a group with a training slice"
    if report.record.split.startswith("random"):
        text = f"{none_leaked}, but by luck: a random split ignores groups."
        return Notice("look", "The split was random.", text)
    if leaked is None:
        text = "The detector came without its run, which names the slices that it was trained on."
        return Notice("look", "Leakage could not be checked.", text)
    if report.record.options.get("leave_one_source_out"):
        text = (
            "Each dataset was tested by networks trained on the others, without the slices in a "
            f"group with one of its.{_unknown_patients(report)}"
        )
        return Notice("fine", "No slice was tested by a network that saw its source.", text)
    if report.kind == "cross-validation":
        text = f"{_grouped(report)} are in the same fold.{_unknown_patients(report)}"
        heading = "No slice was tested by a network that saw a slice of its group."
        return Notice("fine", heading, text)
    if report.kind == "evaluation":
        text = "They were compared with the training and validation slices of the detector."
        return Notice("fine", f"{none_leaked}, as far as is known.", text)
    text = f"{_grouped(report)} are on the same side of the split.{_unknown_patients(report)}"
    return Notice("fine", f"{none_leaked}.", text)


def _grouped(report: Report) -> str:
    if _patients_known(report):
        return "Near-duplicates and the slices of a patient"
    return "Near-duplicates"


def _unknown_patients(report: Report) -> str:
    if _patients_known(report):
        return ""
    return " Without patient identifiers, dissimilar slices of one patient can't be grouped."


def _patients_known(report: Report) -> bool:
    return bool((report.audit.catalog.usable().table["patient"] != "").all())


def leakage_words(report: Report) -> str:
    """What leakage adds: a random split against this one; empty where none was made."""
    other = report.run.random_split
    if other is None:
        return ""
    own, random = report.scores.estimates["accuracy"], other.scores.estimates["accuracy"]
    gain = random.value - own.value
    compared = f"{number(gain)} higher than here" if gain > 0 else f"no gain ({signed(gain)})"
    chance = _chance_words(own, random)
    rest, leaked = other.without_leakage, other.n_leaked or 0
    return (
        f"With a random split, {count(leaked)} of {count(other.scores.n)} test slices "
        f"{'shares' if leaked == 1 else 'share'} a group with training slices, and the same recipe "
        f"reaches an accuracy of {number(random.value)}: {compared}.{chance}"
        f"{' ' + _without_leakage(rest) if rest else ''}"
    )


def _chance_words(own: Estimate, random: Estimate) -> str:
    if own.high < random.low or random.high < own.low:
        return ""
    if math.isnan(own.low) or math.isnan(random.low):
        return " Without confidence intervals, the difference may be due to chance."
    return " The confidence intervals overlap: the difference may be due to chance."


def _without_leakage(rest: Evaluation) -> str:
    accuracy, auc = rest.scores.estimates["accuracy"], rest.scores.estimates["roc_auc"]
    return (
        f"On the other {count(rest.scores.n)}, accuracy is {with_interval(accuracy)} and AUC "
        f"{number(auc.value)}."
    )


def pretraining_words(pretraining: Mapping[str, Any]) -> str:
    """What a backbone was pretrained on, and what was left out of that.

    Args:
        pretraining: see falx.runs.inputs.TrainingInputs.pretraining.
    """
    fraction = pretraining["phantom_fraction"]
    phantoms = f" Of each batch, {percent(fraction)} were phantoms." if fraction else ""
    excluded = f"{count(pretraining['excluded'])} of its {count(pretraining['slices'], 'slice')}"
    return (
        f"The backbone was pretrained on {count(pretraining['trained_on'], 'slice')} of "
        f"“{pretraining['name']}”; {excluded} share a group with a slice of this dataset and were "
        f"left out.{phantoms} On {count(pretraining['held_out'])} held-out slices it reached an "
        f"accuracy of {number(pretraining['accuracy'])} and an AUC of "
        f"{number(pretraining['auc'])}."
    )


def unanswered_studies(studies: StudyScores) -> str:
    """Clauses on the studies that were referred or rejected; empty where none was."""
    referred, rejected = studies.n_referred, studies.n_out_of_distribution
    were = "was" if rejected == 1 else "were"
    clauses = (
        f"; {count(referred)} of them referred" if referred else "",
        f"; {count(rejected)} more {were} rejected as out-of-distribution" if rejected else "",
    )
    return "".join(clauses)


def paper_words() -> str:
    """Where the paper's numbers and their interval come from."""
    accuracy = PAPER["accuracy"]
    return (
        "The paper, “Brain Tumour Detection Using MobileNetV2” (2025), gives no confidence "
        f"intervals. {PAPER_CORRECT} of its {PAPER_N} test slices were classified correctly; the "
        f"Wilson score interval is {percent(accuracy.low)} to {percent(accuracy.high)}. The test "
        "sets differ, so a number inside the other's interval is no evidence of a difference."
    )


def limitations(report: Report) -> Iterator[str]:
    """What these numbers can't show, from the facts of this very test."""
    yield from _size_limits(report.scores)
    yield _split_limit(report)
    yield from _data_limits(report.audit)
    yield "Labels are taken as given; falx can't verify them by another reader or by histology."
    yield (
        "Scanners, sequences and hospitals are not recorded. Performance on external data can be "
        "lower; test on some."
    )


def _size_limits(scores: Scores) -> Iterator[str]:
    estimate = scores.estimates["accuracy"]
    if few := few_groups_words(scores):
        yield few
    if scores.groups < _FEW_GROUPS:
        yield (
            f"The test set is small: {_sample_size(scores)}. A single slice changes accuracy by "
            f"{number(100 / scores.n, 1)} percentage points."
        )
    if not math.isnan(estimate.low):
        yield (
            f"The 95 % confidence interval of the accuracy is {interval(estimate)}. This test "
            "can't show that a model whose accuracy lies inside it is better or worse."
        )
    rare = [f"{n} of “{name}”" for name, n in scores.support.items() if n < _FEW_OF_CLASS]
    if rare:
        yield f"The test set holds only {listed(rare)}: their metrics by class are unreliable."


def _split_limit(report: Report) -> str:
    if report.kind == "cross-validation":
        where = "slices like these"
        if report.record.options.get("leave_one_source_out"):
            where = "a dataset that was not trained on, as far as so few datasets can tell"
        return (
            "These are results of many networks, none of which is the detector that falx train "
            f"makes from the same data; they estimate what the recipe is worth on {where}."
        )
    if report.kind == "training":
        return (
            "This is one split with one seed. Results vary with the seed; a cross-validation, in "
            "which every slice is tested once, says more."
        )
    return (
        "This is not the dataset that the detector was trained on; what its labels mean, and how "
        "its slices were selected, may differ, too."
    )


def _data_limits(audit: Audit) -> Iterator[str]:
    patients = audit.catalog.usable().table["patient"]
    unnamed = int((patients == "").sum())
    if unnamed:
        lacking = f"{count(unnamed, 'slice')} {'lacks' if unnamed == 1 else 'lack'}"
        opening = "No slice has" if unnamed == len(patients) else lacking
        yield (
            f"{opening} a patient identifier, which leaves only near-duplicates to group by. "
            "Dissimilar slices of one patient may be on both sides of a split, which inflates "
            "metrics."
        )
    if audit.conflicts:
        groups = count(len(audit.conflicts), "group")
        yield f"{groups} with conflicting labels, not removed."
    if audit.outliers:
        outliers = count(len(audit.outliers), "outlier")
        yield f"{outliers}, not removed; a person has to judge whether they show a brain."
    yield _shortcut_limit(audit)


def _shortcut_limit(audit: Audit) -> str:
    alarming = [
        f"{shortcut.probe} (AUC {number(shortcut.auc, 2)})"
        for shortcut in audit.shortcuts
        if shortcut.alarming
    ]
    if alarming:
        return (
            f"The class can be predicted without the brain, from {listed(alarming)}. Part of the "
            "performance may rest on such shortcuts instead of tumors."
        )
    if not audit.shortcuts:
        return "Shortcuts were not probed: a class has too few groups."
    unsettled = [
        f"{shortcut.probe} (AUC {number(shortcut.auc, 2)})"
        for shortcut in audit.shortcuts
        if shortcut.unsettled
    ]
    if unsettled:
        return (
            f"A probe predicts the class from {listed(unsettled)}, of too few groups for a "
            "confidence interval: it can't be told whether this is a shortcut."
        )
    return (
        "The probes found no strong shortcut; there may be others, such as burned-in annotations."
    )
