"""One result: what predictions are worth, by slice, by fold, by study, and without leakage."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from falx.evaluation.evaluation import Evaluation


def many(classes, n=200, seed=0):
    """Labels, and probabilities that lean towards them: a detector that is right most times."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(classes), n)
    leaning = rng.random((n, len(classes))) + 0.8 * np.eye(len(classes))[labels]
    return labels, leaning / leaning.sum(axis=1, keepdims=True)


def evaluated(predictions, leaked=None):
    return Evaluation(predictions, leaked)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.6])
def test_the_numbers_are_those_of_scikit_learn(binary, threshold):
    labels, probabilities = many(("no", "yes"))
    names = np.array(["no", "yes"])[labels].tolist()
    found = evaluated(binary(names, probabilities[:, 1], threshold=threshold))
    p = found.predictions.probabilities[0, :, 1]
    predicted = p >= threshold
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "sensitivity": metrics.recall_score(labels, predicted),
        "specificity": metrics.recall_score(labels, predicted, pos_label=0),
        "precision": metrics.precision_score(labels, predicted),
        "f1": metrics.f1_score(labels, predicted),
        "roc_auc": metrics.roc_auc_score(labels, p),
        "average_precision": metrics.average_precision_score(labels, p),
        "log_loss": metrics.log_loss(labels, p),
        "brier": metrics.brier_score_loss(labels, p),
        "mcc": metrics.matthews_corrcoef(labels, predicted),
    }
    content = found.as_dict()
    assert {name: content[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert content["confusion"] == metrics.confusion_matrix(labels, predicted).tolist()
    for name in expected:
        assert content[name]["low"] <= content[name]["value"] <= content[name]["high"]


def test_the_numbers_of_several_classes_are_those_of_scikit_learn(predicted):
    classes = ("glioma", "meningioma", "notumor", "pituitary")
    labels, probabilities = many(classes)
    found = evaluated(predicted(np.array(classes)[labels].tolist(), probabilities, classes))
    names, given = np.array(classes)[labels], found.predictions.predicted[0]
    expected = {
        "accuracy": metrics.accuracy_score(names, given),
        "f1": metrics.f1_score(names, given, average="macro"),
        "roc_auc": metrics.roc_auc_score(names, probabilities, multi_class="ovr", average="macro"),
        "log_loss": metrics.log_loss(names, probabilities),
        "mcc": metrics.matthews_corrcoef(names, given),
    }
    actual = {name: found.scores.estimates[name].value for name in expected}
    assert actual == pytest.approx(expected, abs=1e-12)
    report = metrics.classification_report(names, given, output_dict=True)
    for name in classes:
        row = found.scores.by_class[name]
        assert row["precision"].value == pytest.approx(report[name]["precision"])
        assert row["recall"].value == pytest.approx(report[name]["recall"])


def test_what_is_undefined_is_null(binary):
    """Without a positive there is no sensitivity; JSON has no NaN."""
    content = evaluated(binary(["no", "no"], [0.1, 0.2])).as_dict()
    assert content["sensitivity"] == {"value": None, "low": None, "high": None}
    assert content["specificity"]["value"] == 1


def test_without_leakage_counts_what_is_left(binary):
    labels, positive = ["no", "yes", "no", "yes", "no"], [0.9, 0.35, 0.2, 0.05, 0.75]
    found = evaluated(binary(labels, positive), np.array([True, False, False, False, False]))
    kept = found.predictions.take(np.arange(1, 5))
    assert found.n_leaked == 1
    assert found.without_leakage.scores.as_dict() == evaluated(kept).scores.as_dict()
    assert found.as_dict()["without_leakage"]["n"] == 4


@pytest.mark.parametrize(
    "leaked",
    [None, [False] * 4, [True] * 4, [False, True, False, True]],
    ids=["unknown", "none", "all", "a whole class"],
)
def test_without_leakage_is_none_where_it_would_say_nothing(binary, leaked):
    found = evaluated(
        binary(["no", "yes", "no", "yes"], [0.1, 0.9, 0.2, 0.8]),
        None if leaked is None else np.array(leaked),
    )
    assert found.without_leakage is None
    assert "without_leakage" not in found.as_dict()


def test_slices_of_one_patient_are_also_scored_together(binary):
    labels, positive = ["no", "no", "yes", "yes"], [0.1, 0.3, 0.2, 0.8]
    found = evaluated(binary(labels, positive, patients=["p", "p", "q", "q"]))
    assert found.scores.estimates["accuracy"].value == 0.75
    studies = found.studies
    assert (studies.top_fraction, studies.scores.n) == (0.1, 2)
    assert studies.scores.estimates["accuracy"].value == 1
    mean = evaluated(binary(labels, positive, patients=["p", "p", "q", "q"], top_fraction=1.0))
    assert mean.studies.scores.estimates["accuracy"].value == 1
    log_loss = mean.studies.scores.estimates["log_loss"].value
    assert math.isclose(log_loss, -np.log([0.8, 0.5]).mean())


def test_studies_are_scored_by_the_answers_that_predict_gives(binary):
    """An OOD slice counts in no study, and a study of mostly such slices has no answer."""
    predictions = binary(
        ["no", "no", "yes", "yes", "no", "no", "yes", "yes"],
        [0.1, 0.9, 0.8, 0.2, 0.9, 0.9, 0.3, 0.6],
        patients=list("ppqqrrss"),
        distances=[1, 9, 1, 1, 9, 9, 9, 1],
    )
    studies = evaluated(predictions).studies
    assert (studies.scores.n, studies.n_out_of_distribution) == (3, 1)
    assert studies.scores.confusion.tolist() == [[1, 0], [0, 2]]
    log_loss = studies.scores.estimates["log_loss"].value
    assert log_loss == pytest.approx(-np.log([0.9, 0.8, 0.6]).mean())


def test_where_all_studies_are_rejected_there_is_nothing_to_score(binary):
    labels = ["no", "no"]
    assert (
        evaluated(binary(labels, [0.1, 0.2], patients=["p", "p"], distances=[9, 9])).studies is None
    )


def test_without_a_patient_there_are_no_studies(binary):
    assert evaluated(binary(["no", "yes"], [0.1, 0.9])).studies is None


def test_a_number_of_a_cross_validation_is_the_mean_over_repeats(cross_validated):
    scores = evaluated(cross_validated).scores
    labels, positive = cross_validated.labels, cross_validated.probabilities[:, :, 1]
    accuracy = np.mean([metrics.accuracy_score(labels, each >= 0.5) for each in positive])
    auc = np.mean([metrics.roc_auc_score(labels, each) for each in positive])
    assert scores.estimates["accuracy"].value == pytest.approx(accuracy)
    assert scores.estimates["roc_auc"].value == pytest.approx(auc)
    assert (scores.n, scores.groups, scores.repeats) == (40, 20, 3)
    assert scores.support == {"no": 20, "yes": 20}
    assert scores.confusion.sum() == 120


def test_folds_are_scored_on_their_own_slices(cross_validated):
    folds = evaluated(cross_validated).by_fold
    assert [(each.repeat, each.fold) for each in folds] == [
        (repeat, fold) for repeat in (1, 2, 3) for fold in range(1, 6)
    ]
    rows = np.flatnonzero(cross_validated.folds[1] == 3)
    labels, positive = cross_validated.labels[rows], cross_validated.probabilities[1, rows, 1]
    expected = metrics.accuracy_score(labels, positive >= 0.5)
    assert folds[7].scores.estimates["accuracy"].value == pytest.approx(expected)
    assert sum(each.scores.n for each in folds) == 120


def test_metrics_of_a_cross_validation_tell_its_folds_and_those_of_a_test_its_leakage(
    cross_validated, binary
):
    folds = evaluated(cross_validated, np.zeros(40, bool)).as_dict()
    assert (folds["repeats"], folds["folds"], len(folds["by_fold"])) == (3, 5, 15)
    assert "leaked" not in folds
    test = evaluated(binary(["no", "yes"], [0.1, 0.9]), np.array([False, False])).as_dict()
    assert test["leaked"] == 0
    assert "by_fold" not in test


def test_a_test_set_has_no_folds(binary):
    found = evaluated(binary(["no", "yes"], [0.1, 0.9]))
    assert found.by_fold == ()
    assert replace(found, leaked=np.array([True, True])).n_leaked == 2
