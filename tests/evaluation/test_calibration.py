"""Rules fitted on validation slices hold on others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import recall_score

from falx.detect.rules import Rules, is_conclusive, status_of
from falx.errors import BadInput
from falx.evaluation.calibration import (
    apply_temperature,
    calibrate,
    fit_conformal_threshold,
    fit_temperature,
    operating_threshold,
)

TWO = ("no", "yes")


def drawn(n, *, sharpness=1.0, classes=2, seed=0):
    """Labels drawn from calibrated probabilities, and these made overconfident by `sharpness`."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.5), n)
    labels = np.array([rng.choice(classes, p=row) for row in probabilities])
    return labels, apply_temperature(probabilities, 1 / sharpness)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_fit_temperature_recovers_the_miscalibration(sharpness, classes):
    labels, probabilities = drawn(4000, sharpness=sharpness, classes=classes)
    assert fit_temperature(probabilities, labels) == pytest.approx(sharpness, rel=0.1)


def test_a_few_correct_predictions_do_not_lead_to_extreme_confidence():
    labels = np.arange(20) % 2
    probabilities = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    assert 0.3 < fit_temperature(probabilities, labels) < 1


@given(st.floats(0.05, 20), st.integers(0, 1000))
def test_temperature_scaling_keeps_the_predicted_class_and_can_be_undone(temperature, seed):
    _, probabilities = drawn(20, classes=3, seed=seed)
    found = apply_temperature(probabilities, temperature)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(apply_temperature(found, 1 / temperature), probabilities, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_miscoverage_of_prediction_sets_is_alpha(alpha, classes):
    """On average over many small validation sets, to within half a point."""
    labels, probabilities = drawn(60_000, classes=classes)
    parts = zip(labels.reshape(-1, 40), probabilities.reshape(-1, 40, classes), strict=True)
    missed = [
        (
            values[20:][np.arange(20), codes[20:]]
            < fit_conformal_threshold(values[:20], codes[:20], alpha)
        ).mean()
        for codes, values in parts
    ]
    # With 20 slices, an alpha below 1 in 21 needs prediction sets of all classes.
    assert np.mean(missed) == pytest.approx(alpha, abs=0.007)


class _Identity(ClassifierMixin, BaseEstimator):
    """A classifier whose inputs are its probabilities, as MAPIE needs one."""

    def __init__(self, classes=2):
        self.classes = classes
        self.classes_ = np.arange(classes)

    def fit(self, _x, _y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, x):
        return x

    def predict(self, x):
        return x.argmax(axis=1)


@pytest.mark.parametrize("classes", [2, 4])
def test_prediction_sets_agree_with_mapie(classes):
    """With 199 slices and alpha 0.1 the rank is whole, so that interpolation plays no part."""
    labels, probabilities = drawn(1199, classes=classes)
    mapie = SplitConformalClassifier(
        _Identity(classes), confidence_level=0.9, conformity_score="lac", prefit=True
    ).conformalize(probabilities[:199], labels[:199])
    _, sets = mapie.predict_set(probabilities[199:])
    ours = probabilities[199:] >= fit_conformal_threshold(probabilities[:199], labels[:199], 0.1)
    np.testing.assert_array_equal(ours, sets[:, :, 0])


@pytest.mark.parametrize(("alpha", "rank"), [(0.1, 2), (0.05, 9), (0.05, 10), (0.07, 7), (0.3, 3)])
def test_the_slice_at_a_whole_rank_is_the_threshold(alpha, rank):
    n = round(rank / alpha) - 1
    labels, probabilities = drawn(n, classes=3)
    true = probabilities[np.arange(n), labels]
    assert fit_conformal_threshold(probabilities, labels, alpha) == np.sort(true)[rank - 1]


def test_the_threshold_is_the_weibull_quantile_between_two_ranks():
    labels, probabilities = drawn(33)
    true = probabilities[np.arange(33), labels]
    expected = np.quantile(true, 0.1, method="weibull")
    assert fit_conformal_threshold(probabilities, labels, 0.1) == pytest.approx(expected, rel=1e-12)


def test_tied_true_classes_stay_in_the_prediction_sets():
    probabilities = np.column_stack([np.full(30, 0.9), np.full(30, 0.1)])
    assert fit_conformal_threshold(probabilities, np.zeros(30, int), 0.07) == 0.9


def test_with_too_few_slices_prediction_sets_hold_every_class():
    labels, probabilities = drawn(8)
    assert fit_conformal_threshold(probabilities, labels, 0.1) == 0.0
    assert not is_conclusive(probabilities, 0.5, 0.0).any()


@given(st.integers(0, 1000), st.floats(0.5, 0.99))
def test_a_sensitivity_s_threshold_is_the_highest_that_reaches_it(seed, wanted):
    labels, probabilities = drawn(30, seed=seed)
    labels[:2] = [0, 1]
    threshold = operating_threshold(probabilities, labels, f"sensitivity={wanted:.4f}")
    found = recall_score(labels, probabilities[:, 1] >= threshold)
    assert found >= round(wanted, 4) - 1e-9
    higher = probabilities[labels == 1, 1][probabilities[labels == 1, 1] >= threshold].min()
    assert recall_score(labels, probabilities[:, 1] > higher) < round(wanted, 4)


def test_youden_maximizes_the_sum_of_sensitivity_and_specificity():
    positive = np.array([0.1, 0.2, 0.3, 0.35, 0.6, 0.9])
    labels = np.array([0, 0, 1, 0, 1, 1])
    probabilities = np.column_stack([1 - positive, positive])
    assert operating_threshold(probabilities, labels, "youden") == pytest.approx(0.475)


def test_a_number_is_used_as_the_threshold():
    labels, probabilities = drawn(10)
    assert operating_threshold(probabilities, labels, "0.3") == 0.3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"operating_point": "best"}, "Unknown operating point 'best'; choose a probability"),
        ({"operating_point": "1.5"}, "Unknown operating point '1.5'"),
        ({"alpha": 0.0}, "--alpha must be above 0 and below 1, got 0."),
        ({"classes": ("a", "b", "c"), "operating_point": "youden"}, "there are 3, of which the"),
        ({"classes": ("a", "b", "c"), "operating_point": "0.7"}, "'0.7' is for two classes"),
    ],
)
def test_invalid_rules_are_rejected(changes, problem):
    labels, probabilities = drawn(10)
    arguments = {"classes": TWO, "operating_point": "0.5", "alpha": 0.1} | changes
    with pytest.raises(BadInput, match=problem):
        calibrate(probabilities, labels, **arguments)


@pytest.mark.parametrize(
    ("positive", "distance", "status"),
    [(0.9, 1.0, "answer"), (0.1, 1.0, "answer"), (0.6, 1.0, "refer"), (0.3, 1.0, "refer"),
     (0.9, 5.1, "out_of_distribution"), (0.9, float("nan"), "out_of_distribution")],
)  # fmt: skip
def test_a_slice_is_answered_referred_or_out_of_distribution(positive, distance, status):
    """At 0.3 the prediction set is {no}, but the threshold of 0.25 predicts yes."""
    rules = Rules(threshold=0.25, conformal_threshold=0.35, ood_threshold=5.0)
    assert status_of(np.array([1 - positive, positive]), distance, rules) == status
