"""Rules that are chosen on validation slices mean what they say on others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import recall_score

from falx.detect.rules import Rules, is_sure, status_of
from falx.errors import BadInput
from falx.evaluation.calibrate import (
    calibrate,
    fit_temperature,
    least_inclusion,
    operating_threshold,
    tempered,
)

TWO = ("no", "yes")


def drawn(n, *, sharpness=1.0, classes=2, seed=0):
    """Labels drawn by calibrated probabilities, and those probabilities made too sharp."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.full(classes, 0.5), n)
    labels = np.array([rng.choice(classes, p=row) for row in chances])
    return labels, tempered(chances, 1 / sharpness)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_probabilities_too_sharp(sharpness, classes):
    labels, chances = drawn(4000, sharpness=sharpness, classes=classes)
    assert fit_temperature(chances, labels) == pytest.approx(sharpness, rel=0.1)


def test_a_few_slices_that_are_all_right_do_not_make_it_as_sure_as_can_be():
    labels = np.arange(20) % 2
    chances = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    assert 0.3 < fit_temperature(chances, labels) < 1


@given(st.floats(0.05, 20), st.integers(0, 1000))
def test_a_temperature_changes_no_order_and_no_label(temperature, seed):
    _, chances = drawn(20, classes=3, seed=seed)
    found = tempered(chances, temperature)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(found.argmax(axis=1), chances.argmax(axis=1))
    np.testing.assert_allclose(tempered(found, 1 / temperature), chances, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("error", [0.05, 0.1, 0.2])
def test_the_true_class_is_held_impossible_as_often_as_asked_for(error, classes):
    """On average over many small validation parts, to within half a point."""
    labels, chances = drawn(60_000, classes=classes)
    parts = zip(labels.reshape(-1, 40), chances.reshape(-1, 40, classes), strict=True)
    missed = [
        (test[np.arange(20), truth[20:]] < least_inclusion(chances_[:20], truth[:20], error)).mean()
        for truth, chances_ in parts
        for test in [chances_[20:]]
    ]
    # With 20 slices no error below 1 in 21 can be kept but by holding all possible.
    assert np.mean(missed) == pytest.approx(error, abs=0.007)


class _Given(ClassifierMixin, BaseEstimator):
    """A model whose inputs are its probabilities, as MAPIE wants to have them."""

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
def test_the_sets_are_those_of_mapie_but_for_the_share_between_two_ranks(classes):
    """With 199 slices and an error of 0.1 the rank is whole, 180, so that both agree."""
    labels, chances = drawn(1199, classes=classes)
    other = SplitConformalClassifier(
        _Given(classes), confidence_level=0.9, conformity_score="lac", prefit=True
    ).conformalize(chances[:199], labels[:199])
    _, sets = other.predict_set(chances[199:])
    ours = chances[199:] >= least_inclusion(chances[:199], labels[:199], 0.1)
    np.testing.assert_array_equal(ours, sets[:, :, 0])


@pytest.mark.parametrize(("error", "rank"), [(0.1, 2), (0.05, 9), (0.05, 10), (0.07, 7), (0.3, 3)])
def test_the_slice_whose_rank_it_is_stays_possible(error, rank):
    n = round(rank / error) - 1
    labels, chances = drawn(n, classes=3)
    true = chances[np.arange(n), labels]
    assert least_inclusion(chances, labels, error) == np.sort(true)[rank - 1]


def test_between_two_ranks_it_is_the_quantile_of_weibull():
    labels, chances = drawn(33)
    true = chances[np.arange(33), labels]
    expected = np.quantile(true, 0.1, method="weibull")
    assert least_inclusion(chances, labels, 0.1) == pytest.approx(expected, rel=1e-12)


def test_where_all_true_classes_are_given_one_probability_they_stay_possible():
    chances = np.column_stack([np.full(30, 0.9), np.full(30, 0.1)])
    assert least_inclusion(chances, np.zeros(30, int), 0.07) == 0.9


def test_too_few_slices_hold_every_class_possible():
    labels, chances = drawn(8)
    assert least_inclusion(chances, labels, 0.1) == 0.0
    assert not is_sure(chances, 0.5, 0.0).any()


@given(st.integers(0, 1000), st.floats(0.5, 0.99))
def test_a_threshold_for_a_sensitivity_has_it_and_no_higher_one_has(seed, wanted):
    labels, chances = drawn(30, seed=seed)
    labels[:2] = [0, 1]
    threshold = operating_threshold(chances, labels, f"sensitivity={wanted:.4f}")
    found = recall_score(labels, chances[:, 1] >= threshold)
    assert found >= round(wanted, 4) - 1e-9
    higher = chances[labels == 1, 1][chances[labels == 1, 1] >= threshold].min()
    assert recall_score(labels, chances[:, 1] > higher) < round(wanted, 4)


def test_youden_takes_the_largest_sum_of_sensitivity_and_specificity():
    positive = np.array([0.1, 0.2, 0.3, 0.35, 0.6, 0.9])
    labels = np.array([0, 0, 1, 0, 1, 1])
    chances = np.column_stack([1 - positive, positive])
    assert operating_threshold(chances, labels, "youden") == pytest.approx(0.475)


def test_a_number_is_the_threshold_itself():
    labels, chances = drawn(10)
    assert operating_threshold(chances, labels, "0.3") == 0.3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"operating_point": "best"}, "There is no operating point 'best'; choose a probability"),
        ({"operating_point": "1.5"}, "There is no operating point '1.5'"),
        ({"error": 0.0}, "--error must be above 0 and below 1, got 0."),
        ({"classes": ("a", "b", "c"), "operating_point": "youden"}, "there are 3, of which the"),
        ({"classes": ("a", "b", "c"), "operating_point": "0.7"}, "'0.7' is one of two classes"),
    ],
)
def test_rules_that_can_not_be_chosen_are_refused(changes, problem):
    labels, chances = drawn(10)
    asked = {"classes": TWO, "operating_point": "0.5", "error": 0.1} | changes
    with pytest.raises(BadInput, match=problem):
        calibrate(chances, labels, asked.pop("classes"), **asked)


@pytest.mark.parametrize(
    ("positive", "distance", "status"),
    [(0.9, 1.0, "answer"), (0.1, 1.0, "answer"), (0.6, 1.0, "refer"), (0.3, 1.0, "refer"),
     (0.9, 5.1, "foreign"), (0.9, float("nan"), "foreign")],
)  # fmt: skip
def test_a_slice_is_answered_referred_or_foreign(positive, distance, status):
    """At 0.3 only “no” is possible, and the label of a threshold of 0.25 is “yes”."""
    rules = Rules(threshold=0.25, inclusion=0.35, limit=5.0)
    assert status_of(np.array([1 - positive, positive]), distance, rules) == status
