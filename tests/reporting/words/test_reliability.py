"""Reliability in words and rows: each number with its interval, and what is undefined said so."""

from math import nan

import pytest

from falx.evaluation.reliability import Reliability
from falx.reporting.words.reliability import (
    operating_point_words,
    reliability_rows,
    reliability_words,
)
from falx.statistics import Estimate

UNDEFINED = Estimate(nan, nan, nan)


def reliability(**changes):
    values = {
        "alpha": 0.1,
        "coverage": Estimate(0.92, 0.86, 0.97),
        "coverage_by_class": {"no": Estimate(0.95, 0.9, 1.0), "yes": Estimate(0.89, 0.8, 0.95)},
        "out_of_distribution": Estimate(0.02, 0.01, 0.04),
        "referred": Estimate(0.12, 0.08, 0.2),
        "selective_accuracy": Estimate(0.97, 0.9, 0.98),
        "temperature": 1.527,
        "before": {},
        "after": {},
    }
    return Reliability(**values | changes)


def words(**changes):
    return list(reliability_words(reliability(**changes)))


def test_everything_is_said_with_its_interval(plain):
    assert plain(" ".join(words())) == (
        "Probabilities were calibrated by temperature scaling (T = 1.53), fitted on validation "
        "slices. "
        "Prediction sets (target coverage 90 %) held the true class of 92 % (86 % to 97 %) of "
        "slices. "
        "Of all slices, 2 % (1 % to 4 %) were rejected as out-of-distribution. "
        "Of slices not rejected, 12 % (8 % to 20 %) were referred. "
        "Of slices neither rejected nor referred, 97 % (90 % to 98 %) were classified correctly."
    )


def test_the_target_follows_from_alpha(plain):
    assert "target coverage 80 %" in plain(words(alpha=0.2)[1])
    assert plain(reliability_rows(reliability(alpha=0.05))[0][0]).endswith("(target 95 %)")


def test_where_there_are_no_slices_the_fraction_is_called_undefined():
    referred, correct = words(referred=UNDEFINED, selective_accuracy=UNDEFINED)[-2:]
    assert referred == (
        "The fraction of slices not rejected that were referred is undefined: there are none."
    )
    assert correct == (
        "The fraction of slices neither rejected nor referred that were classified correctly is "
        "undefined: there are none."
    )


def test_without_an_interval_the_value_stands_alone(plain):
    alone = words(coverage=Estimate(0.92, nan, nan))[1]
    assert "held the true class of 92 % of slices." in plain(alone)


def test_rows_hold_the_same_numbers():
    found = reliability()
    names, glosses, estimates = zip(*reliability_rows(found), strict=True)
    assert names[1:] == (
        "Coverage of “no”", "Coverage of “yes”", "Rejected as out-of-distribution", "Referred",
        "Selective accuracy",
    )  # fmt: skip
    assert all(glosses)
    assert estimates == (
        found.coverage, *found.coverage_by_class.values(), found.out_of_distribution,
        found.referred, found.selective_accuracy,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("operating_point", "expected"),
    [
        ("youden", "Youden's index, on validation slices"),
        ("sensitivity=0.95", "for a sensitivity of 95 % on validation slices"),
        ("0.5", "fixed"),
    ],
)
def test_it_is_said_how_the_threshold_was_chosen(operating_point, expected, plain):
    assert plain(operating_point_words(operating_point)) == expected
