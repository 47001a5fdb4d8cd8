"""Metrics agree with scikit-learn; intervals with literal resampling."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from falx import statistics
from falx.errors import BadInput
from falx.evaluation import metrics
from falx.evaluation.metrics import bootstrap_metrics, score, score_repeats
from falx.evaluation.weighted_metrics import METRIC_NAMES, compute_metrics

CLASSES = ("no", "yes")
FOUR = ("glioma", "meningioma", "notumor", "pituitary")


def predictions(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and probabilities (n, classes) on a coarse grid, so that there are many ties."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=n - classes)])
    raw = rng.integers(1, 6, size=(n, classes)) + 3.0 * np.eye(classes)[labels]
    return labels, raw / raw.sum(axis=1, keepdims=True)


def binary(positive: list[float]) -> np.ndarray:
    p = np.array(positive)
    return np.column_stack([1 - p, p])


def values(labels: Any, probabilities: np.ndarray, **options: Any) -> dict[str, float]:
    """The point estimates alone, each slice its own group."""
    names = CLASSES if probabilities.shape[1] == 2 else FOUR[: probabilities.shape[1]]
    found = score(
        labels, probabilities, np.arange(len(probabilities)), names, resamples=1, **options
    )
    return {name: estimate.value for name, estimate in found.estimates.items()}


def sklearn_values(labels: np.ndarray, p: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    classes = np.arange(p.shape[1])
    two = len(classes) == 2
    predicted = (p[:, 1] >= threshold).astype(int) if two else p.argmax(axis=1)
    hit = np.eye(len(classes))[labels]
    average: dict[str, Any] = (
        {"average": "binary"} if two else {"average": "macro", "labels": classes}
    )
    cells = sk.multilabel_confusion_matrix(labels, predicted, labels=classes)
    specificity = cells[:, 0, 0] / cells[:, 0].sum(axis=1)
    auc = [sk.roc_auc_score(hit[:, k], p[:, k]) for k in classes]
    ap = [sk.average_precision_score(hit[:, k], p[:, k]) for k in classes]
    return {
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "sensitivity": sk.recall_score(labels, predicted, **average),
        "specificity": specificity[1] if two else specificity.mean(),
        "precision": sk.precision_score(labels, predicted, zero_division=np.nan, **average),
        "f1": sk.f1_score(labels, predicted, **average),
        "roc_auc": auc[1] if two else np.mean(auc),
        "average_precision": ap[1] if two else np.mean(ap),
        "log_loss": sk.log_loss(labels, p, labels=classes),
        "brier": sk.brier_score_loss(labels, p[:, 1] if two else p, labels=classes),
        "calibration_error": slow_calibration_error(labels, p),
        "mcc": sk.matthews_corrcoef(labels, predicted),
    }


def slow_calibration_error(labels: np.ndarray, p: np.ndarray) -> float:
    """Guo et al. 2017, equation 3, bin by bin."""
    two = p.shape[1] == 2
    confidence = p[:, 1] if two else p.max(axis=1)
    outcome = labels == 1 if two else labels == p.argmax(axis=1)
    total = 0.0
    edges = np.linspace(0, 1, 16)
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high) | ((low == 0) & (confidence == 0))
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - outcome[inside].mean())
    return float(total)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_scikit_learn(classes: int, seed: int) -> None:
    labels, p = predictions(60, classes, seed)
    assert values(labels, p) == pytest.approx(sklearn_values(labels, p), nan_ok=True)


def test_threshold_is_inclusive_and_is_the_positive_class_s() -> None:
    found = score([0, 0, 1, 1], binary([0.1, 0.3, 0.3, 0.9]), range(4), CLASSES, threshold=0.3)
    assert found.confusion.tolist() == [[1, 1], [0, 2]]


@pytest.mark.parametrize("threshold", [0.25, 0.6, 0.8])
def test_threshold_moves_the_counts_and_not_the_ranking(threshold: float) -> None:
    labels, p = predictions(80, 2)
    found = values(labels, p, threshold=threshold)
    assert found == pytest.approx(sklearn_values(labels, p, threshold))
    assert found["roc_auc"] == values(labels, p)["roc_auc"]


@settings(max_examples=30, deadline=None)
@given(data=st.data(), classes=st.sampled_from([2, 3]))
def test_a_weight_is_a_repeated_row(data: st.DataObject, classes: int) -> None:
    """The bootstrap weights rows; scikit-learn gets the resample itself."""
    n = data.draw(st.integers(classes, 25))
    labels, p = predictions(n, classes, data.draw(st.integers(0, 1000)))
    times = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    times[:classes] += 1  # scikit-learn needs every class
    inputs = metrics._checked_inputs(labels, p, np.arange(n), FOUR[:classes], np.array(0.5))
    found = compute_metrics(inputs, times[None].astype(float))[0, : len(METRIC_NAMES)]
    drawn = np.repeat(np.arange(n), times)
    wanted = sklearn_values(labels[drawn], p[drawn])
    if classes > 2 and len(np.unique(p[drawn].argmax(axis=1))) < classes:
        wanted["precision"] = math.nan  # scikit-learn averages the other classes
    assert dict(zip(METRIC_NAMES, found, strict=True)) == pytest.approx(wanted, nan_ok=True)


def test_interval_is_the_percentile_of_literal_resamples() -> None:
    labels, p = predictions(40, 2)
    groups = np.repeat(np.arange(20), 2)
    found = score(labels, p, groups, CLASSES, resamples=100, seed=7)
    rng = np.random.default_rng(7)
    drawn = [
        np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(20, size=20)])
        for _ in range(100)
    ]
    literal = {
        "accuracy": [sk.accuracy_score(labels[r], p[r, 1] >= 0.5) for r in drawn],
        "roc_auc": [sk.roc_auc_score(labels[r], p[r, 1]) for r in drawn],
        "brier": [sk.brier_score_loss(labels[r], p[r, 1]) for r in drawn],
    }
    for name, resampled in literal.items():
        estimate = found.estimates[name]
        wanted = np.quantile(resampled, [0.025, 0.975])
        assert (estimate.low, estimate.high) == pytest.approx(tuple(wanted))


@pytest.mark.parametrize("classes", [2, 4])
def test_interval_contains_the_value_and_is_not_a_point(classes: int) -> None:
    labels, p = predictions(60, classes)
    found = score(labels, p, np.arange(60), FOUR[:classes], resamples=300)
    assert list(found.estimates) == list(METRIC_NAMES)
    for estimate in found.estimates.values():
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low < estimate.high


def test_duplicates_within_their_group_change_nothing() -> None:
    labels, p = predictions(30, 2)
    groups = np.arange(30)
    once = score(labels, p, groups, CLASSES, resamples=300)
    twice = score(
        np.repeat(labels, 2), np.repeat(p, 2, axis=0), np.repeat(groups, 2), CLASSES, resamples=300
    )
    assert twice.groups == once.groups == 30
    assert twice.n == 60
    for name, estimate in once.estimates.items():
        other = twice.estimates[name]
        assert (other.value, other.low, other.high) == pytest.approx(
            (estimate.value, estimate.low, estimate.high)
        )


def test_duplicates_in_groups_of_their_own_narrow_the_interval() -> None:
    labels, p = (np.repeat(a, 4, axis=0) for a in predictions(30, 2))
    grouped = score(labels, p, np.repeat(np.arange(30), 4), CLASSES).estimates["accuracy"]
    ungrouped = score(labels, p, np.arange(120), CLASSES).estimates["accuracy"]
    width = (grouped.high - grouped.low) / (ungrouped.high - ungrouped.low)
    assert width == pytest.approx(2, rel=0.15)  # four duplicates: the square root of four


def test_group_numbers_are_arbitrary() -> None:
    labels, p = predictions(30, 2)
    groups = np.repeat(np.arange(10), 3)
    first = score(labels, p, groups, CLASSES, resamples=50)
    assert score(labels, p, groups * 10 - 7, CLASSES, resamples=50).as_dict() == first.as_dict()


def test_intervals_depend_on_the_seed_but_not_on_the_chunk_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels, p = predictions(30, 2)
    first = score(labels, p, np.arange(30), CLASSES, resamples=100, seed=1)
    other = score(labels, p, np.arange(30), CLASSES, resamples=100, seed=2)
    monkeypatch.setattr(statistics, "_CHUNK", 7 * 30)
    chunked = score(labels, p, np.arange(30), CLASSES, resamples=100, seed=1)
    for name in METRIC_NAMES:
        assert chunked.estimates[name].low == pytest.approx(first.estimates[name].low)
    assert other.as_dict() != first.as_dict()


@pytest.mark.parametrize("classes", [2, 4])
def test_by_class_agrees_with_the_classification_report(classes: int) -> None:
    labels, p = predictions(80, classes)
    found = score(labels, p, np.arange(80), FOUR[:classes], resamples=100)
    predicted = p.argmax(axis=1) if classes > 2 else (p[:, 1] >= 0.5).astype(int)
    report = sk.classification_report(
        labels, predicted, target_names=FOUR[:classes], output_dict=True
    )
    np.testing.assert_array_equal(found.confusion, sk.confusion_matrix(labels, predicted))
    assert list(found.by_class) == list(FOUR[:classes])
    for name, row in found.by_class.items():
        wanted = report[name]
        assert found.support[name] == wanted["support"]
        assert list(row) == ["precision", "recall", "f1"]
        for metric, estimate in row.items():
            assert estimate.value == pytest.approx(wanted[{"f1": "f1-score"}.get(metric, metric)])
            assert estimate.low <= estimate.value <= estimate.high


def test_without_errors_the_interval_is_the_exact_one() -> None:
    labels = np.repeat([0, 1], [12, 20])
    found = score(labels, binary([0.1] * 12 + [0.9] * 20), np.arange(32), CLASSES)
    trials = {
        "accuracy": 32,
        "balanced_accuracy": 12,
        "sensitivity": 20,
        "specificity": 12,
        "precision": 20,
        "roc_auc": 12,
    }
    for name, n in trials.items():
        estimate = found.estimates[name]
        assert (estimate.value, estimate.high) == (1, 1)
        assert estimate.low == pytest.approx(0.025 ** (1 / n))
    overlap = 0.025 ** (1 / 20)
    assert found.estimates["f1"].low == pytest.approx(2 * overlap / (1 + overlap))
    assert found.by_class["no"]["recall"].low == pytest.approx(0.025 ** (1 / 12))
    assert math.isnan(found.estimates["mcc"].low)
    assert math.isnan(found.estimates["average_precision"].high)


def test_without_a_correct_prediction_the_interval_is_the_exact_one() -> None:
    found = score([0, 0, 0, 1, 1, 1], binary([0.9] * 3 + [0.1] * 3), np.arange(6), CLASSES)
    accuracy = found.estimates["accuracy"]
    assert (accuracy.value, accuracy.low) == (0, 0)
    assert accuracy.high == pytest.approx(1 - 0.025 ** (1 / 6))


def test_trials_of_the_exact_interval_are_groups_not_slices() -> None:
    labels = np.repeat([0, 1], 30)
    groups = np.repeat(np.arange(20), 3)
    found = score(labels, binary([0.1] * 30 + [0.9] * 30), groups, CLASSES)
    assert found.estimates["accuracy"].low == pytest.approx(0.025 ** (1 / 20))


def test_fewer_than_ten_groups_have_no_interval() -> None:
    labels, p = np.arange(36) % 2, predictions(36, 2)[1]
    nine = score(labels, p, np.arange(36) // 4, CLASSES, resamples=20)
    assert all(math.isnan(estimate.low) for estimate in nine.estimates.values())
    twelve = score(labels, p, np.arange(36) // 3, CLASSES, resamples=20)
    assert not any(math.isnan(estimate.low) for estimate in twelve.estimates.values())


def test_the_groups_that_count_are_those_that_contribute() -> None:
    """Of twenty groups, nine have positives: too few for sensitivity, enough for specificity."""
    labels = np.repeat([1, 1, 0, 0, 0], [5, 4, 4, 4, 3])
    p = binary(np.random.default_rng(0).random(20))
    found = score(labels, p, np.arange(20), CLASSES, resamples=200).estimates
    for name in ("sensitivity", "roc_auc", "average_precision", "mcc", "balanced_accuracy"):
        assert math.isnan(found[name].low), name
    for name in ("accuracy", "specificity", "log_loss", "brier"):
        assert found[name].low < found[name].value, name


def test_one_group_has_no_interval() -> None:
    labels, p = predictions(12, 2)
    found = score(labels, p, np.zeros(12, dtype=int), CLASSES, resamples=20)
    assert math.isnan(found.estimates["accuracy"].low)
    assert math.isnan(found.estimates["log_loss"].low)


def test_few_groups_without_an_error_keep_the_exact_interval() -> None:
    labels = np.repeat([0, 1], [3, 3])
    found = score(labels, binary([0.1] * 3 + [0.9] * 3), np.arange(6), CLASSES, resamples=20)
    assert found.estimates["accuracy"].low == pytest.approx(0.025 ** (1 / 6))


def test_metrics_that_need_two_classes_are_undefined_with_one() -> None:
    found = score([1, 1, 1], binary([0.9, 0.2, 0.8]), range(3), CLASSES, resamples=50)
    undefined = {name for name, e in found.estimates.items() if math.isnan(e.value)}
    assert undefined == {"balanced_accuracy", "specificity", "roc_auc", "mcc"}
    assert found.estimates["sensitivity"].value == pytest.approx(2 / 3)


def test_with_one_predicted_class_precision_is_undefined_and_mcc_is_zero() -> None:
    found = score([0, 1, 1], binary([0.1, 0.2, 0.3]), range(3), CLASSES, resamples=50)
    assert math.isnan(found.estimates["precision"].value)
    assert found.estimates["mcc"].value == 0
    assert found.by_class["yes"]["f1"].value == 0


def test_resamples_without_a_class_are_left_out() -> None:
    """One positive in six: in a third of the resamples, sensitivity is undefined."""
    found = score([1, 0, 0, 0, 0, 0], binary([0.8, *[0.6, 0.1, 0.3, 0.2, 0.1]]), range(6), CLASSES)
    sensitivity, auc = found.estimates["sensitivity"], found.estimates["roc_auc"]
    assert (sensitivity.low, sensitivity.high) == pytest.approx((0.025, 1))
    assert (auc.value, auc.low) == pytest.approx((1, 0.025))


def test_as_dict_can_be_written_as_json() -> None:
    labels, p = predictions(30, 2)
    found = score(labels, p, np.arange(30), CLASSES, resamples=50)
    again = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert list(again) == ["n", "groups", "classes", *METRIC_NAMES, "by_class", "confusion"]
    assert again["accuracy"] == vars(found.estimates["accuracy"])
    assert again["by_class"]["yes"]["support"] == int((labels == 1).sum())
    assert np.array(again["confusion"]).sum() == again["n"] == 30


def test_as_dict_writes_undefined_metrics_as_null() -> None:
    found = score([1, 1], binary([0.9, 0.2]), range(2), CLASSES, resamples=5)
    assert found.as_dict()["roc_auc"] == {"value": None, "low": None, "high": None}


def test_log_loss_is_finite_for_a_wrong_probability_of_one() -> None:
    p = binary([1.0, 0.0])
    assert values([0, 1], p)["log_loss"] == pytest.approx(sk.log_loss([0, 1], p))


@pytest.mark.parametrize("repeats", [1, 3])
def test_bootstrap_metrics_are_those_behind_the_scores(repeats: int) -> None:
    labels, p = predictions(60, 3)
    each = [np.roll(p, repeat, axis=0) for repeat in range(repeats)]
    groups = np.arange(60) // 2
    found = score_repeats(labels, each, groups, FOUR[:3], resamples=200, seed=4)
    bootstrapped = bootstrap_metrics(labels, each, groups, FOUR[:3], resamples=200, seed=4)
    assert list(bootstrapped) == list(METRIC_NAMES)
    for name, (value, replicates) in bootstrapped.items():
        estimate = found.estimates[name]
        low, high = np.quantile(replicates[np.isfinite(replicates)], [0.025, 0.975])
        assert replicates.shape == (200,)
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
            (value, min(low, value), max(high, value)), nan_ok=True
        )


def test_models_of_the_same_groups_are_paired_in_bootstrap_metrics() -> None:
    """The better model makes one error less, so no replicate of the difference is negative."""
    labels, p = predictions(60, 2)
    better = p.copy()
    wrong = np.flatnonzero((p[:, 1] >= 0.5) != (labels == 1))[0]
    better[wrong] = p[wrong, ::-1]
    (_, first), (_, second) = (
        bootstrap_metrics(labels, [each], np.arange(60), CLASSES, resamples=200)["accuracy"]
        for each in (p, better)
    )
    assert (second >= first).all()
    assert (second > first).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 2, 1]}, r"`labels` must lie in 0 to 1, .* no, yes; got 0 to 2"),
        ({"labels": [0, 1]}, r"`labels` must be one integer for each of the 3 slices"),
        ({"labels": [0.0, 1.0, 1.0]}, r"`labels` .* got float64 of shape \(3,\)"),
        ({"groups": ["a", "b", "c"]}, r"`groups` must be one integer"),
        ({"probabilities": [0.1, 0.9, 0.9]}, r"a column for each class, here 2, .* shape \(3,\)"),
        ({"probabilities": np.empty((0, 2))}, r"at least one row"),
        ({"probabilities": [[0.5, 0.6]] * 3}, r"sum to 1, got a sum that is 0.1 off"),
        ({"probabilities": [[-1.0, 2.0]] * 3}, r"must lie in \[0, 1\]"),
        ({"probabilities": [[math.nan, 1.0]] * 3}, r"must lie in \[0, 1\]"),
        ({"classes": ["yes"]}, r"two or more different names, got \['yes'\]"),
        ({"classes": ["yes", "yes"]}, r"two or more different names"),
        ({"threshold": 1.5}, r"`threshold` must lie in \[0, 1\], got 1.5"),
        ({"resamples": 0}, r"`resamples` must be at least 1, got 0"),
    ],
)
def test_invalid_arguments_are_named(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "labels": [0, 1, 1],
        "probabilities": binary([0.1, 0.8, 0.9]),
        "groups": [0, 1, 2],
        "classes": CLASSES,
    }
    with pytest.raises(BadInput, match=message):
        score(**(good | change))
