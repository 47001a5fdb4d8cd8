"""Every metric on weighted slices, for many sets of weights at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

METRICS = {
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
"""Every metric of `score`, in its order, and how to write it for people."""

CALIBRATION_BINS = 15
BY_CLASS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Ranking:
    """The slices by falling probability of one class."""

    order: Ints  # (n,)
    starts: Ints  # where each distinct probability begins in `order`
    positive: Floats  # (n,) 1 where the slice at that rank is of the class


@dataclass(frozen=True)
class Rows:
    """Predictions, checked, with all that does not depend on the weights worked out."""

    classes: int
    groups: int
    group: Ints  # (n,) in [0, groups)
    truth: Ints  # (n,)
    predicted: Ints  # (n,)
    terms: Floats  # (n, classes² + 2 + bins): cell of the confusion matrix, log loss, Brier, bins
    rankings: tuple[Ranking, ...]

    @classmethod
    def of(cls, truth: Ints, predicted: Ints, p: Floats, groups: Ints) -> Rows:
        """The rows of predictions that were checked; `groups` may be any numbers."""
        names, group = np.unique(groups, return_inverse=True)
        classes = p.shape[1]
        ranked = (1,) if classes == 2 else range(classes)
        return cls(
            classes=classes,
            groups=names.size,
            group=group,
            truth=truth,
            predicted=predicted,
            terms=_terms(truth, predicted, p),
            rankings=tuple(_ranking(p[:, k], truth == k) for k in ranked),
        )


def measure(rows: Rows, weights: Floats) -> Floats:
    """Every metric, then precision, recall and F1 of each class, (resamples, metrics)."""
    sums = weights @ rows.terms
    cells = rows.classes**2
    confusion = sums[:, :cells].reshape(-1, rows.classes, rows.classes)
    total = weights.sum(axis=1)
    right = np.einsum("rkk->rk", confusion)
    true, called = confusion.sum(axis=2), confusion.sum(axis=1)
    recall, precision = _ratio(right, true), _ratio(right, called)
    f1 = _ratio(2 * right, true + called)
    rest = total[:, None] - true
    specificity = _ratio(rest - called + right, rest)
    auc, average_precision = _rank_metrics(rows, weights)
    overall = {
        "accuracy": right.sum(axis=1) / total,
        "balanced_accuracy": recall.mean(axis=1),
        "sensitivity": _over_classes(recall),
        "specificity": _over_classes(specificity),
        "precision": _over_classes(precision),
        "f1": _over_classes(f1),
        "roc_auc": auc,
        "average_precision": average_precision,
        "log_loss": sums[:, cells] / total,
        "brier": sums[:, cells + 1] / total,
        "calibration_error": np.abs(sums[:, cells + 2 :]).sum(axis=1) / total,
        "mcc": _matthews(right, true, called, total),
    }
    return np.column_stack([*(overall[name] for name in METRICS), precision, recall, f1])


def trials(rows: Rows) -> list[float]:
    """Groups that bear on each column of `measure`; NaN where no exact interval is known."""
    kinds = np.arange(rows.classes)
    true, called = rows.truth[:, None] == kinds, rows.predicted[:, None] == kinds
    of_true, of_rest = _groups_with(rows, true), _groups_with(rows, ~true)
    of_called, of_either = _groups_with(rows, called), _groups_with(rows, true | called)
    least = (lambda counts: counts[1]) if rows.classes == 2 else np.min
    overall = {
        "accuracy": rows.groups,
        "balanced_accuracy": of_true.min(),
        "sensitivity": least(of_true),
        "specificity": least(of_rest),
        "precision": least(of_called),
        "f1": least(of_either),
        "roc_auc": least(np.minimum(of_true, of_rest)),
    }
    return [
        *(float(overall.get(name, math.nan)) for name in METRICS),
        *np.concatenate([of_called, of_true, of_either]).tolist(),
    ]


def _terms(truth: Ints, predicted: Ints, p: Floats) -> Floats:
    """What each slice adds to the sums that the metrics are made of."""
    classes = p.shape[1]
    cell = np.eye(classes**2)[truth * classes + predicted]
    hit = np.eye(classes)[truth]
    floor = np.finfo(np.float64).eps
    log_loss = -np.log(np.clip(p[np.arange(len(p)), truth], floor, 1 - floor))
    brier = ((p - hit) ** 2).sum(axis=1)
    if classes == 2:
        confidence, outcome = p[:, 1], hit[:, 1]
        brier = (confidence - outcome) ** 2
    else:
        confidence, outcome = p.max(axis=1), (p.argmax(axis=1) == truth).astype(np.float64)
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    gap = np.eye(CALIBRATION_BINS)[np.searchsorted(edges[1:-1], confidence)]
    gap *= (confidence - outcome)[:, None]
    return np.column_stack([cell, log_loss, brier, gap])


def _ranking(p: Floats, positive: npt.NDArray[np.bool_]) -> Ranking:
    order = np.argsort(-p, kind="stable")
    starts = np.flatnonzero(np.diff(p[order], prepend=np.inf))
    return Ranking(order, starts, positive[order].astype(np.float64))


def _over_classes(per_class: Floats) -> Floats:
    """The positive class's number with two classes, the mean with more."""
    return per_class[:, 1] if per_class.shape[1] == 2 else per_class.mean(axis=1)


def _ratio(above: Floats, below: Floats) -> Floats:
    """The quotient, NaN where the denominator is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _matthews(right: Floats, true: Floats, called: Floats, total: Floats) -> Floats:
    shared = right.sum(axis=1) * total - (true * called).sum(axis=1)
    of_truth = total**2 - (true**2).sum(axis=1)
    of_calls = total**2 - (called**2).sum(axis=1)
    one_call = (of_calls == 0) & (of_truth > 0)
    return np.where(one_call, 0.0, _ratio(shared, np.sqrt(of_truth * of_calls)))


def _rank_metrics(rows: Rows, weights: Floats) -> tuple[Floats, Floats]:
    """AUC and average precision, each (resamples,), averaged over the ranked classes."""
    auc, average_precision = np.mean([_rank_class(weights, r) for r in rows.rankings], axis=0)
    return auc, average_precision


def _rank_class(weights: Floats, ranking: Ranking) -> tuple[Floats, Floats]:
    """AUC and average precision of one class; slices of equal probability are taken together."""
    drawn = weights[:, ranking.order]
    hits = _by_score(drawn * ranking.positive, ranking)
    taken = _by_score(drawn, ranking)
    misses = taken - hits
    hits_above, taken_above = hits.cumsum(axis=1), taken.cumsum(axis=1)
    positives = hits_above[:, -1]
    pairs = np.einsum("rs,rs->r", misses, hits_above - hits / 2)
    auc = _ratio(pairs, positives * (taken_above[:, -1] - positives))
    # Before the first drawn slice there is nothing taken, and no hit either: any divisor will do.
    precision = hits_above / np.maximum(taken_above, 1)
    return auc, _ratio(np.einsum("rs,rs->r", hits, precision), positives)


def _by_score(drawn: Floats, ranking: Ranking) -> Floats:
    if ranking.starts.size == ranking.order.size:
        return drawn
    summed: Floats = np.add.reduceat(drawn, ranking.starts, axis=1)
    return summed


def _groups_with(rows: Rows, mask: npt.NDArray[np.bool_]) -> Ints:
    """For each column of `mask` (n, classes), the groups that have a slice in it."""
    return np.array([np.unique(rows.group[column]).size for column in mask.T])
