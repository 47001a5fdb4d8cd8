"""What an audit means, in sentences: what is well, what to look at, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from falx.data.shortcuts import FOLDS, Shortcut
from falx.evaluation.intervals import Estimate
from falx.evaluation.templates import (
    count,
    interval,
    listed,
    number,
    percent,
)

if TYPE_CHECKING:
    import pandas as pd

    from falx.data.audit import Audit, Leak
    from falx.data.label_check import LabelCheck

_UNEQUAL = 3  # times as many slices in the largest class as in the smallest
_HELD_OUT = 0.3  # of a random 70/15/15 split
_URGENCY = ("act", "look", "fine")
DOUBTS_ADVICE = (
    "A doubt is no proof: somebody who can read the scan has to look. All numbers are on the "
    "labels as they are."
)


@dataclass(frozen=True)
class Verdict:
    """One thing that an audit looked at.

    Attributes:
        name: what was looked at.
        figure: the number that sums it up.
        state: whether all is well, a person should look, or something must be done.
        meaning: what was found, in a sentence.
        advice: what to do; empty where there is nothing to do.
    """

    name: str
    figure: str
    state: Literal["fine", "look", "act"]
    meaning: str
    advice: str = ""


def verdicts(audit: Audit) -> tuple[Verdict, ...]:
    """Everything that an audit looked at, what needs doing first."""
    table = audit.catalog.usable().table
    found = (
        _balance(audit.counts),
        _unusable_verdict(audit),
        _identical(audit),
        _distinct(audit, table),
        _conflicts(audit),
        *((_doubted(audit.label_check),) if audit.label_check else ()),
        *(_leak_verdict(leak) for leak in audit.leaks),
        _patients(table),
        _foreign(audit),
        *(_shortcut_verdict(shortcut) for shortcut in audit.shortcuts),
        *(() if audit.shortcuts else (_not_probed(),)),
    )
    return tuple(sorted(found, key=lambda verdict: _URGENCY.index(verdict.state)))


def _balance(counts: dict[str, int]) -> Verdict:
    each = listed([f"{count(n)} {name}" for name, n in counts.items()])
    unequal = max(counts.values()) > _UNEQUAL * min(counts.values())
    return Verdict(
        "Usable slices",
        count(sum(counts.values())),
        "look" if unequal else "fine",
        f"{each}.",
        "The classes are far from equal: read balanced accuracy, not accuracy." if unequal else "",
    )


def _unusable_verdict(audit: Audit) -> Verdict:
    n = len(audit.unreadable)
    if not n:
        return Verdict("Unusable files", "0", "fine", "Every file can be read and shows something.")
    meaning = f"{count(n, 'slice')} can't be decoded, {_are(n)} blank or too small."
    return Verdict("Unusable files", count(n), "look", meaning, "Left out; repair or remove them.")


def _identical(audit: Audit) -> Verdict:
    copies = sum(len(rows) - 1 for rows in audit.identical)
    if not copies:
        return Verdict("Identical files", "0", "fine", "No file is a copy of another.")
    meaning = f"{count(copies, 'slice')} {_are(copies)} byte for byte the copy of another."
    return Verdict("Identical files", count(copies), "look", meaning, "Keep one of each.")


def _distinct(audit: Audit, table: pd.DataFrame) -> Verdict:
    meaning = (
        f"{count(audit.distinct)} of {count(len(table))}, with copies, near-duplicates and slices "
        "of one patient counted once. It is the size that counts."
    )
    if audit.distinct == len(table):
        return Verdict("Distinct slices", count(audit.distinct), "fine", meaning)
    share = _random_twins(table["group"])
    advice = (
        "Split by group, as falx does: a random 70/15/15 split would give about "
        f"{percent(share)} of test slices a twin in training."
    )
    return Verdict("Distinct slices", count(audit.distinct), "look", meaning, advice)


def _random_twins(groups: pd.Series[int]) -> float:
    """The share of test slices that a random split is expected to give a twin in training."""
    size = groups.map(groups.value_counts()).to_numpy(float)
    return float((1 - _HELD_OUT ** (size - 1)).mean())


def _conflicts(audit: Audit) -> Verdict:
    n = len(audit.conflicts)
    if not n:
        return Verdict("Contradicting labels", "0", "fine", "No group carries two labels.")
    meaning = f"{count(n, 'group')} of slices that belong together {_carry(n)} more than one label."
    advice = "Ask whoever labeled them; a label is wrong, or the group is."
    return Verdict("Contradicting labels", count(n), "act", meaning, advice)


def _doubted(check: LabelCheck) -> Verdict:
    n, checked = len(check.doubts), count(check.checked, "label")
    if not n:
        meaning = f"Of {checked} that a cross-validation checked, its networks doubt none."
        return Verdict("Doubted labels", "0", "fine", meaning)
    meaning = (
        f"Of {checked} that a cross-validation checked, its networks doubt {count(n)}, without "
        "having seen those slices."
    )
    return Verdict("Doubted labels", count(n), "look", meaning, DOUBTS_ADVICE)


def _leak_verdict(leak: Leak) -> Verdict:
    name, n = f"Leak from {leak.other} to {leak.part}", len(leak.rows)
    if not n:
        return Verdict(name, "0", "fine", f"No {leak.part} slice has a twin in {leak.other}.")
    share = percent(n / max(1, leak.total))
    meaning = (
        f"{count(n)} of {count(leak.total, f'{leak.part} slice')} ({share}) {_have(n)} a twin in "
        f"{leak.other}, {count(leak.identical)} byte for byte."
    )
    advice = "Numbers on the given parts are too good: split anew, by group."
    return Verdict(name, share, "act", meaning, advice)


def _patients(table: pd.DataFrame) -> Verdict:
    named = int((table["patient"] != "").sum())
    if named == len(table):
        return Verdict("Patient numbers", count(named), "fine", "Every slice has a patient number.")
    some = count(named) if named else "None"
    meaning = f"{some} of {count(len(table))} slices have a patient number."
    advice = (
        "Add a column “patient” if you can: slices of one patient that look different can't be "
        "told to belong together."
    )
    return Verdict("Patient numbers", count(named), "look", meaning, advice)


def _foreign(audit: Audit) -> Verdict:
    n = len(audit.foreign)
    if not n:
        return Verdict("Unlike the rest", "0", "fine", "No slice stands out.")
    meaning = f"{count(n, 'slice')} {_are(n)} least like the others; most are likely to be sound."
    advice = "Look for other organs, other planes and screenshots among them."
    return Verdict("Unlike the rest", count(n), "look", meaning, advice)


def _shortcut_verdict(shortcut: Shortcut) -> Verdict:
    estimate = Estimate(shortcut.auc, shortcut.low, shortcut.high)
    found = (
        f"A classifier that sees only {shortcut.probe}, and no brain, reaches an AUC of "
        f"{number(shortcut.auc, 2)} ({interval(estimate, 2)}); 0.50 is chance."
    )
    name, figure = f"Shortcut through {shortcut.probe}", number(shortcut.auc, 2)
    if shortcut.alarming:
        advice = (
            "A network can be right for the wrong reason. Save all images alike, crop to the head, "
            "and test on slices from elsewhere."
        )
        return Verdict(name, figure, "act", found, advice)
    if round(shortcut.low, 2) > 0.5:
        advice = "Better than chance: test on slices from elsewhere."
        return Verdict(name, figure, "look", found, advice)
    return Verdict(name, figure, "fine", found)


def _not_probed() -> Verdict:
    meaning = f"Not probed: a class has fewer than {FOLDS} groups."
    return Verdict("Shortcuts", "–", "look", meaning, "Add slices of other patients.")


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def _carry(n: int) -> str:
    return "carries" if n == 1 else "carry"
