"""What rules are worth is counted on slices that did not choose them."""

from dataclasses import replace

import numpy as np
import pytest

from falx.evaluation.evaluation import Evaluation
from falx.evaluation.metrics import score
from falx.serialization import to_json

LABELS = ["no"] * 4 + ["yes"] * 4
POSITIVE = np.array([0.1, 0.2, 0.5, 0.9, 0.1, 0.5, 0.8, 0.9])
DISTANCES = [1, 1, 1, 1, 1, 1, 1, 9.0]
RULES = {"temperature": 2.0, "conformal_threshold": 0.3, "ood_threshold": 5.0}


@pytest.fixture
def measured(binary):
    """A function that measures the reliability of some rules, perhaps in several repeats."""

    def measure(repeats=1, **rules):
        one = binary(LABELS, POSITIVE, distances=DISTANCES, **(rules or RULES))
        repeated = replace(
            one,
            probabilities=np.repeat(one.probabilities, repeats, axis=0),
            distances=np.repeat(one.distances, repeats, axis=0),
            folds=np.repeat(one.folds, repeats, axis=0),
            rules=one.rules * repeats,
        )
        return Evaluation(repeated, None).reliability

    return measure


@pytest.mark.parametrize("repeats", [1, 3])
def test_shares_are_those_that_one_counts_by_hand(measured, repeats):
    found = measured(repeats)
    assert found.coverage.value == 6 / 8
    assert {name: each.value for name, each in found.coverage_by_class.items()} == {
        "no": 0.75,
        "yes": 0.75,
    }
    assert found.out_of_distribution.value == 1 / 8
    assert found.referred.value == pytest.approx(2 / 7)
    assert found.selective_accuracy.value == pytest.approx(3 / 5)
    assert (found.temperature, found.alpha) == (2.0, 0.1)


def test_calibration_is_measured_before_and_after_temperature_scaling(measured):
    found = measured()
    logits = 2 * np.log(POSITIVE / (1 - POSITIVE))
    uncalibrated = 1 / (1 + np.exp(-logits))
    for positive, estimates in ((uncalibrated, found.before), (POSITIVE, found.after)):
        expected = score(
            np.repeat([0, 1], 4), np.column_stack([1 - positive, positive]), np.arange(8) // 2,
            ("no", "yes"),
        )  # fmt: skip
        for name, estimate in estimates.items():
            assert estimate.value == pytest.approx(expected.estimates[name].value)


def test_where_nothing_is_answered_there_is_no_accuracy(measured):
    found = measured(conformal_threshold=0.0, ood_threshold=None)
    assert (found.coverage.value, found.referred.value) == (1.0, 1.0)
    assert np.isnan(found.selective_accuracy.value)
    assert to_json(found)["selective_accuracy"] == {"value": None, "low": None, "high": None}


def test_where_all_slices_are_rejected_nothing_is_referred_or_answered(measured):
    found = measured(ood_threshold=0.5)
    assert found.out_of_distribution.value == 1.0
    assert np.isnan([found.referred.value, found.selective_accuracy.value]).all()
