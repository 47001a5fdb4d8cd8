"""Predictions on labeled slices: of one detector, or of the folds of a cross-validation."""

from dataclasses import replace

import numpy as np
import pytest

from falx.detect.rules import Rules
from falx.evaluation.predictions import Misclassification, Predictions, SliceRules

LABELS = ["yes", "no", "yes", "no"]
POSITIVE = [0.35, 0.2, 0.05, 0.75]
"""A tumor missed narrowly, one right, one missed badly, one false positive."""


@pytest.fixture
def four(binary):
    return binary(LABELS, POSITIVE, threshold=0.4)


def test_predictions_are_in_the_order_of_the_rows(catalog):
    found = Predictions.of_detector(
        catalog(["no", "yes", "no"], ("no", "yes")),
        np.array([2, 1]),
        np.array([[0.9, 0.1], [0.3, 0.7]]),
        np.ones(2),
        Rules(),
    )
    assert found.table["path"].tolist() == ["no/2, cut.png", "yes/1, cut.png"]
    assert found.labels.tolist() == [0, 1]
    assert found.groups.tolist() == [1, 0]
    assert found.predicted.tolist() == [["no", "yes"]]
    assert (len(found), found.repeats, found.is_cross_validated) == (2, 1, False)


def test_some_slices_keep_their_own_rows_and_probabilities(four):
    some = four.take(np.array([3, 1]))
    assert some.table["path"].tolist() == ["no/3, cut.png", "no/1, cut.png"]
    np.testing.assert_array_equal(some.probabilities[0, :, 1], [0.75, 0.2])
    assert some.rows.tolist() == [3, 1]


def test_the_frame_has_a_row_a_slice(four):
    frame = four.frame()
    assert frame.columns.tolist() == [
        "path", "index", "source", "group", "label", "repeat", "fold", "predicted", "status", "distance",
        "p_no", "p_yes",
    ]  # fmt: skip
    assert frame["label"].tolist() == LABELS
    assert frame["group"].tolist() == [0, 0, 1, 1]
    assert frame["predicted"].tolist() == ["no", "no", "no", "yes"]
    assert frame["p_yes"].tolist() == pytest.approx(POSITIVE, abs=1e-15)


def test_misclassified_slices_come_most_confident_first(four):
    """With the probability of the positive class."""
    assert four.wrong.tolist() == [2, 3, 0]
    assert four.misclassifications() == (
        Misclassification("yes/2, cut.png", "yes", "no", 0.05),
        Misclassification("no/3, cut.png", "no", "yes", 0.75),
        Misclassification("yes/0, cut.png", "yes", "no", 0.35),
    )


def test_of_several_classes_the_probability_is_that_of_the_class_predicted(predicted):
    found = predicted(["a", "b"], [[0.1, 0.2, 0.7], [0, 1, 0]], tuple("abc"))
    assert found.misclassifications() == (Misclassification("a/0, cut.png", "a", "c", 0.7),)


def test_statuses_follow_the_rules_of_each_slice(four):
    far = replace(four, distances=np.array([[1.0, 9.0, 1.0, 1.0]]))
    assert far.statuses[0].tolist() == ["answer", "out_of_distribution", "answer", "answer"]


@pytest.mark.parametrize(
    "rules",
    [
        Rules(conformal_threshold=0.3, ood_threshold=5.0),
        Rules(threshold=0.15, conformal_threshold=0.6),
        Rules(ood_threshold=0.5),
    ],
)
def test_many_slices_get_the_status_that_each_gets_alone(rules):
    from falx.detect.rules import status_of

    positive = np.array([0.1, 0.2, 0.5, 0.9, 0.1, 0.5, 0.8, 0.9])
    probabilities = np.column_stack([1 - positive, positive])
    distances = np.array([1, 1, 1, 1, 1, 1, 1, 9.0])
    found = SliceRules.of([rules] * 8).statuses(probabilities, distances)
    pairs = zip(probabilities, distances, strict=True)
    assert found.tolist() == [status_of(row, distance, rules) for row, distance in pairs]


def test_a_cross_validation_has_a_row_a_slice_and_repeat(cross_validated):
    frame = cross_validated.frame()
    assert len(frame) == 120
    row = frame[(frame["repeat"] == 2) & (frame["path"] == "yes/7, cut.png")].iloc[0]
    positive = cross_validated.probabilities[1, 7, 1]
    assert row["fold"] == cross_validated.folds[1, 7]
    assert row["p_yes"] == pytest.approx(positive)
    assert row["predicted"] == ("no", "yes")[int(positive >= 0.5)]


def test_slices_misclassified_in_most_repeats_come_first(cross_validated):
    positive, labels = cross_validated.probabilities[:, :, 1], cross_validated.labels
    wrong = ((positive >= 0.5) != labels).sum(axis=0)
    errors = cross_validated.misclassifications()
    assert [each.times for each in errors] == sorted(wrong[wrong > 0], reverse=True)
    first = int(errors[0].path.split("/")[1].split(",")[0])
    assert wrong[first] == errors[0].times
    assert errors[0].predicted != errors[0].label
    assert errors[0].probability == pytest.approx(positive[:, first].mean())


def test_a_repeated_error_has_the_mean_probability_of_its_wrong_class(predicted):
    """On average the true class is the most probable here, though one repeat missed it."""
    right = 0.8 * np.eye(3) + 0.1 * (1 - np.eye(3))
    once = right.copy()
    once[0] = [0.3, 0.6, 0.1]
    found = replace(
        predicted(list("abc"), right, tuple("abc")),
        probabilities=np.stack([right, once]),
        distances=np.ones((2, 3)),
        folds=np.ones((2, 3), int),
        rules=((Rules(),),) * 2,
    )
    (error,) = found.misclassifications()
    assert (error.label, error.predicted, error.times) == ("a", "b", 1)
    assert error.probability == pytest.approx((0.1 + 0.6) / 2)


def test_the_rules_of_folds_are_summarized_by_their_median(cross_validated):
    thresholds = [0.2, 0.9, 0.4, 0.5, 0.6]
    folds = tuple(Rules(threshold=each, ood_threshold=None) for each in thresholds)
    found = replace(cross_validated, rules=(folds,) * 3)
    assert found.median_rules.threshold == 0.5
    assert found.median_rules.ood_threshold is None
    assert found.thresholds[0][0] == thresholds[cross_validated.folds[0, 0] - 1]
