"""An audit in sentences: what is fine, what to look at, what to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from falx.data.shortcuts import MIN_FOLDS, Shortcut
from falx.reporting.formatting import count, listed, number, percent, with_interval
from falx.reporting.words.dataset import reasons
from falx.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from falx.data.auditing import Audit, Leak
    from falx.data.label_check import LabelCheck

_IMBALANCED = 3  # times as many slices in the largest class as in the smallest
_HELD_OUT = 0.3  # of a random 70/15/15 split
_URGENCY = ("act", "look", "fine")
_TAGS = {"act": "fix", "look": "check", "fine": "ok"}
_PROBES = {"file properties": "file properties (format, size, overall gray levels)"}
LABEL_ISSUES_ADVICE = (
    "A label issue is not proof of an error: somebody who can read the scan has to check it. All "
    "metrics use the labels as given."
)


@dataclass(frozen=True)
class Verdict:
    """The result of one check of an audit.

    Attributes:
        name: what was checked.
        figure: the number that sums it up.
        state: whether it is fine, a person should look, or something must be done.
        meaning: what was found, in a sentence.
        advice: what to do; empty where there is nothing to do.
    """

    name: str
    figure: str
    state: Literal["fine", "look", "act"]
    meaning: str
    advice: str = ""

    @property
    def tag(self) -> str:
        """The state, in a word for readers."""
        return _TAGS[self.state]


def verdicts(audit: Audit) -> tuple[Verdict, ...]:
    """The results of all checks, the most urgent first."""
    table = audit.catalog.usable().table
    found = (
        _balance(audit.counts),
        _unusable_verdict(audit),
        _identical(audit),
        _distinct(audit, table),
        _conflicts(audit),
        *((_label_issues(audit.label_check),) if audit.label_check else ()),
        *(_leak_verdict(leak) for leak in audit.leaks),
        _patients(table),
        _outliers(audit),
        *(_shortcut_verdict(shortcut) for shortcut in audit.shortcuts),
        *(() if audit.shortcuts else (_not_probed(),)),
    )
    return tuple(sorted(found, key=lambda verdict: _URGENCY.index(verdict.state)))


def _balance(counts: dict[str, int]) -> Verdict:
    each = listed([f"{count(n)} {name}" for name, n in counts.items()])
    imbalanced = max(counts.values()) > _IMBALANCED * min(counts.values())
    return Verdict(
        "Usable slices",
        count(sum(counts.values())),
        "look" if imbalanced else "fine",
        f"{each}.",
        "The classes are imbalanced: read balanced accuracy, not accuracy." if imbalanced else "",
    )


def _unusable_verdict(audit: Audit) -> Verdict:
    n = len(audit.unreadable)
    if not n:
        return Verdict(
            "Unusable files", "0", "fine", "All files can be read; none is blank or too small."
        )
    problems = audit.catalog.table["problem"].iloc[list(audit.unreadable)]
    meaning = f"{count(n, 'slice')} {_are(n)} left out: {reasons(problems)}."
    return Verdict(
        "Unusable files", count(n), "look", meaning, "Repair or remove what should not be there."
    )


def _identical(audit: Audit) -> Verdict:
    copies = sum(len(rows) - 1 for rows in audit.identical)
    if not copies:
        return Verdict("Identical files", "0", "fine", "No file is a copy of another.")
    what = "a byte-for-byte copy of another" if copies == 1 else "byte-for-byte copies of others"
    meaning = f"{count(copies, 'slice')} {_are(copies)} {what}."
    return Verdict("Identical files", count(copies), "look", meaning, "Keep one of each.")


def _distinct(audit: Audit, table: pd.DataFrame) -> Verdict:
    meaning = (
        f"{count(audit.distinct)} of {count(len(table))}, with copies, near-duplicates and slices "
        "of one patient counted once: the effective size of the dataset."
    )
    if audit.distinct == len(table):
        return Verdict("Distinct slices", count(audit.distinct), "fine", meaning)
    leaked = _random_split_leakage(table["group"])
    advice = (
        "Split by group, as falx does: with a random 70/15/15 split, about "
        f"{percent(leaked)} of test slices would share a group with training slices."
    )
    return Verdict("Distinct slices", count(audit.distinct), "look", meaning, advice)


def _random_split_leakage(groups: pd.Series[int]) -> float:
    """The expected fraction of test slices that leak with a random split."""
    size = groups.map(groups.value_counts()).to_numpy(float)
    return float((1 - _HELD_OUT ** (size - 1)).mean())


def _conflicts(audit: Audit) -> Verdict:
    n = len(audit.conflicts)
    if not n:
        return Verdict("Conflicting labels", "0", "fine", "No group has more than one label.")
    meaning = f"{count(n, 'group')} {_have(n)} more than one label."
    advice = "Ask whoever labeled them: either a label is wrong, or the grouping is."
    return Verdict("Conflicting labels", count(n), "act", meaning, advice)


def _label_issues(check: LabelCheck) -> Verdict:
    n, checked = len(check.label_issues), count(check.checked, "label")
    opening = "Confident learning on the out-of-fold predictions of a cross-validation flags"
    if not n:
        return Verdict("Label issues", "0", "fine", f"{opening} none of {checked}.")
    meaning = f"{opening} {count(n)} of {checked} as likely wrong."
    return Verdict("Label issues", count(n), "look", meaning, LABEL_ISSUES_ADVICE)


def _leak_verdict(leak: Leak) -> Verdict:
    name, n = f"Leakage from {leak.other} to {leak.part}", len(leak.rows)
    if not n:
        return Verdict(
            name, "0", "fine", f"No {leak.part} slice shares a group with a {leak.other} slice."
        )
    share = percent(n / max(1, leak.total))
    meaning = (
        f"{count(n)} of {count(leak.total, f'{leak.part} slice')} ({share}) {_share(n)} a group "
        f"with a {leak.other} slice; {count(leak.identical)} {_are(leak.identical)} identical to "
        "one, byte for byte."
    )
    advice = "Metrics on this split are inflated: split again, by group."
    return Verdict(name, share, "act", meaning, advice)


def _patients(table: pd.DataFrame) -> Verdict:
    named = int((table["patient"] != "").sum())
    if named == len(table):
        return Verdict(
            "Patient identifiers", count(named), "fine", "Every slice has a patient identifier."
        )
    some = count(named) if named else "None"
    meaning = f"{some} of {count(len(table))} slices {_have(named)} a patient identifier."
    advice = (
        "Add a column “patient” if you can: dissimilar slices of one patient can't be grouped "
        "without it."
    )
    return Verdict("Patient identifiers", count(named), "look", meaning, advice)


def _outliers(audit: Audit) -> Verdict:
    n = len(audit.outliers)
    if not n:
        return Verdict("Outliers", "0", "fine", "No slice stands out from the dataset.")
    meaning = f"{count(n, 'slice')} {_are(n)} least like the others; most are probably fine."
    advice = "Check whether there are other organs, other planes or screenshots among them."
    return Verdict("Outliers", count(n), "look", meaning, advice)


def _level_verdict(shortcut: Shortcut) -> Verdict:
    """Not a defect of the files: whoever evaluates has to account for it."""
    estimate = Estimate(shortcut.auc, shortcut.low, shortcut.high)
    meaning = (
        f"The level of a slice in its volume alone predicts the class with an AUC of "
        f"{with_interval(estimate, 2)}; 0.50 is chance. This is anatomy, not a defect of the "
        "files: tumor slices lie in the middle of volumes."
    )
    advice = "Compare slices at the same level: falx gives that AUC beside the plain one."
    return Verdict("Level in the volume", number(shortcut.auc, 2), "look", meaning, advice)


def _shortcut_verdict(shortcut: Shortcut) -> Verdict:
    if shortcut.is_level:
        return _level_verdict(shortcut)
    estimate = Estimate(shortcut.auc, shortcut.low, shortcut.high)
    seen = _PROBES.get(shortcut.probe, shortcut.probe)
    found = (
        f"A classifier that sees only {seen}, not the anatomy, has an AUC of "
        f"{with_interval(estimate, 2)}; 0.50 is chance."
    )
    name, figure = f"Shortcut: {shortcut.probe}", number(shortcut.auc, 2)
    if shortcut.alarming:
        advice = (
            "A network can be right for the wrong reason. Save all images in the same way, crop to "
            "the head, and test on external data."
        )
        return Verdict(name, figure, "act", found, advice)
    if shortcut.unsettled:
        advice = "Too few groups for a confidence interval: test on external data."
        return Verdict(name, figure, "look", found, advice)
    if not math.isnan(shortcut.low) and round(shortcut.low, 2) > 0.5:
        advice = "Better than chance: test on external data."
        return Verdict(name, figure, "look", found, advice)
    return Verdict(name, figure, "fine", found)


def _not_probed() -> Verdict:
    meaning = f"Not probed: a class has fewer than {MIN_FOLDS} groups."
    return Verdict("Shortcuts", "–", "look", meaning, "Add slices of more patients.")


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def _share(n: int) -> str:
    return "shares" if n == 1 else "share"
