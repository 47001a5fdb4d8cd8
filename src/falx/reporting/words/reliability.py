"""Calibration, coverage, referral and out-of-distribution detection, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from falx.evaluation.reliability import Reliability
from falx.reporting.formatting import number, percent
from falx.statistics import Estimate

ReliabilityRow = tuple[str, str, Estimate]
"""A name, a gloss, and the number."""


def reliability_words(reliability: Reliability) -> Iterator[str]:
    """Sentences, for readers who do not want a table."""
    yield (
        f"Probabilities were calibrated by temperature scaling (T = "
        f"{number(reliability.temperature, 2)}), fitted on validation slices."
    )
    yield (
        f"Prediction sets (target coverage {percent(1 - reliability.alpha)}) held the true class "
        f"of {_fraction(reliability.coverage)} of slices."
    )
    yield _sentence(
        "all slices", reliability.out_of_distribution, "rejected as out-of-distribution"
    )
    yield _sentence("slices not rejected", reliability.referred, "referred")
    yield _sentence(
        "slices neither rejected nor referred", reliability.selective_accuracy,
        "classified correctly",
    )  # fmt: skip


def reliability_rows(reliability: Reliability) -> list[ReliabilityRow]:
    """The same as rows of a table."""
    return [
        (
            f"Coverage of prediction sets (target {percent(1 - reliability.alpha)})",
            "fraction of slices whose prediction set holds the true class",
            reliability.coverage,
        ),
        *(
            (f"Coverage of “{name}”", "not guaranteed for each class", estimate)
            for name, estimate in reliability.coverage_by_class.items()
        ),
        (
            "Rejected as out-of-distribution",
            "of all slices, those too unlike the training slices; they get no label",
            reliability.out_of_distribution,
        ),
        (
            "Referred",
            "of slices not rejected, those that a person should read",
            reliability.referred,
        ),
        (
            "Selective accuracy",
            "on slices neither rejected nor referred",
            reliability.selective_accuracy,
        ),
    ]


def operating_point_words(operating_point: str) -> str:
    """How a threshold was chosen."""
    if operating_point == "youden":
        return "Youden's index, on validation slices"
    if operating_point.startswith("sensitivity="):
        sensitivity = float(operating_point.partition("=")[2])
        return f"for a sensitivity of {percent(sensitivity)} on validation slices"
    return "fixed"


def _sentence(slices: str, estimate: Estimate, what: str) -> str:
    """A sentence about a fraction of some slices, of which there may be none."""
    if math.isnan(estimate.value):
        return f"The fraction of {slices} that were {what} is undefined: there are none."
    return f"Of {slices}, {_fraction(estimate)} were {what}."


def _fraction(estimate: Estimate) -> str:
    value = percent(estimate.value)
    if math.isnan(estimate.low):
        return value
    return f"{value} ({percent(estimate.low)} to {percent(estimate.high)})"
