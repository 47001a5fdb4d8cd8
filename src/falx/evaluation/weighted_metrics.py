"""Every metric for many bootstrap resamples at once, from the weight of each slice in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.statistics import Floats, Ints, RankedScores, ranking_metrics, ratio

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
    "mcc": "Matthews correlation",
}
"""Every metric of `score`, in its order, and its name in reports."""

PROPORTIONS = frozenset(
    {"accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "recall", "f1"}
    | {"roc_auc"}
)
"""Metrics of which an exact interval is known; a trial is a group that contributes."""

CALIBRATION_BINS = 15
CLASS_METRICS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class MetricInputs:
    """Checked predictions, with everything precomputed that does not depend on the weights.

    Attributes:
        n_classes: classes.
        n_groups: groups.
        group_codes: group of each slice, int (n,) in [0, n_groups).
        labels: true class of each slice, int (n,).
        predicted: predicted class of each slice, int (n,).
        terms: what each slice adds to the sums that metrics are made of: its cell of the confusion
            matrix, log loss, Brier score, and gap in each calibration bin,
            float (n, n_classes² + 2 + CALIBRATION_BINS).
        rankings: the slices by probability of the positive class, or of each of several classes.
    """

    n_classes: int
    n_groups: int
    group_codes: Ints
    labels: Ints
    predicted: Ints
    terms: Floats
    rankings: tuple[RankedScores, ...]

    @classmethod
    def of(cls, labels: Ints, predicted: Ints, probabilities: Floats, groups: Ints) -> MetricInputs:
        """Precompute what metrics need; `groups` may be any numbers."""
        names, group_codes = np.unique(groups, return_inverse=True)
        n_classes = probabilities.shape[1]
        ranked = (1,) if n_classes == 2 else range(n_classes)
        return cls(
            n_classes=n_classes,
            n_groups=names.size,
            group_codes=group_codes,
            labels=labels,
            predicted=predicted,
            terms=_terms(labels, predicted, probabilities),
            rankings=tuple(RankedScores.of(probabilities[:, k], labels == k) for k in ranked),
        )


def compute_metrics(inputs: MetricInputs, weights: Floats) -> Floats:
    """Every metric, then precision, recall and F1 of each class, for each resample.

    Args:
        weights: how often each slice is in each resample, float (resamples, n).

    Returns:
        float (resamples, metrics).
    """
    sums = weights @ inputs.terms
    cells = inputs.n_classes**2
    confusion = sums[:, :cells].reshape(-1, inputs.n_classes, inputs.n_classes)
    total = weights.sum(axis=1)
    correct = np.einsum("rkk->rk", confusion)
    actual, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    recall, precision = ratio(correct, actual), ratio(correct, predicted)
    f1 = ratio(2 * correct, actual + predicted)
    negatives = total[:, None] - actual
    specificity = ratio(negatives - predicted + correct, negatives)
    each = [ranking_metrics(ranked, weights) for ranked in inputs.rankings]
    auc, average_precision = np.mean(each, axis=0)
    overall = {
        "accuracy": correct.sum(axis=1) / total,
        "balanced_accuracy": recall.mean(axis=1),
        "sensitivity": _average(recall),
        "specificity": _average(specificity),
        "precision": _average(precision),
        "f1": _average(f1),
        "roc_auc": auc,
        "average_precision": average_precision,
        "log_loss": sums[:, cells] / total,
        "brier": sums[:, cells + 1] / total,
        "calibration_error": np.abs(sums[:, cells + 2 :]).sum(axis=1) / total,
        "mcc": _matthews(correct, actual, predicted, total),
    }
    return np.column_stack([*(overall[name] for name in METRIC_NAMES), precision, recall, f1])


def contributing_groups(inputs: MetricInputs) -> list[int]:
    """Groups behind each column of `compute_metrics`: behind sensitivity, those with positives."""
    codes = np.arange(inputs.n_classes)
    actual, predicted = inputs.labels[:, None] == codes, inputs.predicted[:, None] == codes
    of_actual, of_rest = _groups_with(inputs, actual), _groups_with(inputs, ~actual)
    of_predicted = _groups_with(inputs, predicted)
    of_either = _groups_with(inputs, actual | predicted)
    least = (lambda counts: counts[1]) if inputs.n_classes == 2 else np.min
    of_both = least(np.minimum(of_actual, of_rest))
    overall = {
        "balanced_accuracy": of_actual.min(),
        "sensitivity": least(of_actual),
        "specificity": least(of_rest),
        "precision": least(of_predicted),
        "f1": least(of_either),
        "roc_auc": of_both,
        "average_precision": of_both,
        "mcc": of_both,
    }
    return [
        *(int(overall.get(name, inputs.n_groups)) for name in METRIC_NAMES),
        *np.concatenate([of_predicted, of_actual, of_either]).tolist(),
    ]


def _terms(labels: Ints, predicted: Ints, probabilities: Floats) -> Floats:
    n, n_classes = probabilities.shape
    cell = np.eye(n_classes**2)[labels * n_classes + predicted]
    one_hot = np.eye(n_classes)[labels]
    eps = np.finfo(np.float64).eps
    log_loss = -np.log(np.clip(probabilities[np.arange(n), labels], eps, 1 - eps))
    if n_classes == 2:
        confidence, outcome = probabilities[:, 1], one_hot[:, 1]
        brier = (confidence - outcome) ** 2
    else:
        confidence = probabilities.max(axis=1)
        outcome = (probabilities.argmax(axis=1) == labels).astype(np.float64)
        brier = ((probabilities - one_hot) ** 2).sum(axis=1)
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    gap = np.eye(CALIBRATION_BINS)[np.searchsorted(edges[1:-1], confidence)]
    gap *= (confidence - outcome)[:, None]
    return np.column_stack([cell, log_loss, brier, gap])


def _average(per_class: Floats) -> Floats:
    """Of the positive class with two classes, the macro average with more."""
    return per_class[:, 1] if per_class.shape[1] == 2 else per_class.mean(axis=1)


def _matthews(correct: Floats, actual: Floats, predicted: Floats, total: Floats) -> Floats:
    covariance = correct.sum(axis=1) * total - (actual * predicted).sum(axis=1)
    actual_variance = total**2 - (actual**2).sum(axis=1)
    predicted_variance = total**2 - (predicted**2).sum(axis=1)
    single_prediction = (predicted_variance == 0) & (actual_variance > 0)
    correlation = ratio(covariance, np.sqrt(actual_variance * predicted_variance))
    return np.where(single_prediction, 0.0, correlation)


def _groups_with(inputs: MetricInputs, mask: npt.NDArray[np.bool_]) -> Ints:
    """For each column of `mask` (n, classes), the groups that have a slice in it."""
    return np.array([np.unique(inputs.group_codes[column]).size for column in mask.T])
