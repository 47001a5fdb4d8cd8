"""What calibration, referral and refusal are worth, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from falx.evaluation.cells import cell_of
from falx.evaluation.intervals import Estimate
from falx.evaluation.templates import number, percent
from falx.evaluation.trust import Trust
from falx.evaluation.weighted import METRICS


def trust_words(trust: Trust) -> Iterator[str]:
    """Sentences for people who do not want a table."""
    yield (
        f"Probabilities were calibrated by a temperature of {number(trust.temperature, 2)}, chosen "
        "on validation slices."
    )
    yield (
        f"The class of a slice was held possible, {percent(1 - trust.error)} of the time asked "
        f"for, for {_share(trust.coverage)} of slices."
    )
    yield _told("all slices", trust.foreign, "were refused as unlike the training slices")
    yield _told("slices that were not refused", trust.referred, "are to be referred")
    yield _told("slices neither refused nor referred", trust.answered, "are called right")


def trust_table(trust: Trust) -> dict[str, Any]:
    """Rows for the report."""
    asked = percent(1 - trust.error)
    rows = [
        ("True class held possible", f"{asked} was asked for", trust.coverage),
        *(
            (f"of “{name}”", "not promised for each class", estimate)
            for name, estimate in trust.coverage_by_class.items()
        ),
        ("Referred", "of slices not refused, those that a person should look at", trust.referred),
        ("Accuracy on the rest", "of slices neither referred nor refused", trust.answered),
        ("Refused as foreign", "of all slices, those too unlike training slices; they get no class",
         trust.foreign),
    ]  # fmt: skip
    return {
        "temperature": number(trust.temperature, 2),
        "rules": [(name, gloss, cell_of(estimate)) for name, gloss, estimate in rows],
        "calibration": [
            (METRICS[name], cell_of(trust.before[name]), cell_of(trust.after[name]))
            for name in trust.before
        ],
    }


def operating_words(operating_point: str) -> str:
    """What a threshold was chosen for."""
    if operating_point == "youden":
        return "where sensitivity and specificity sum to most on validation slices"
    if operating_point.startswith("sensitivity="):
        asked = float(operating_point.partition("=")[2])
        return f"where {percent(asked)} of the positive are found on validation slices"
    return "as asked for"


def _told(slices: str, estimate: Estimate, what: str) -> str:
    """A sentence about a share of some slices, which may not be there."""
    if math.isnan(estimate.value):
        return f"Of {slices} there are none, so it can't be told how many {what}."
    return f"Of {slices}, {_share(estimate)} {what}."


def _share(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} ({percent(estimate.low)} to {percent(estimate.high)})"
