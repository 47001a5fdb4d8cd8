"""What predictions are worth, each number with the 95 % interval around it.

The interval is the percentile bootstrap over groups (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapter 13; Field and Welsh, J. R. Stat. Soc. B 69, 2007, for clusters): slices of
one patient, or near-duplicates of one another, are drawn together, so copies can't make a number
look surer than it is.

Every metric is computed on a matrix of weights, a row a resample and a column a slice, holding how
often the slice was drawn; the value itself is the same code with every weight 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from falx.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

_LEVEL = 0.95
_Z = 1.959963984540054  # the 97.5 % point of the normal distribution
_CHUNK = 2**18  # weights at a time: 2 MB, which stays in the processor's cache
_SAME = 1e-12  # resamples closer than this differ by rounding alone
_BY_CLASS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Estimate:
    """A number with the 95 % interval around it; NaN where undefined."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low > self.value or self.value > self.high:
            raise BadInput(f"`value` must lie between `low` and `high`, got {self!r}.")

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "undefined"
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f}\N{EN DASH}{self.high:.2f})"


@dataclass(frozen=True, eq=False)
class Scores:
    """What a set of predictions is worth.

    Attributes:
        n: slices scored.
        groups: groups among them, the number of independent observations.
        classes: names of the classes, in the order of `confusion`.
        estimates: metric to estimate, in the order of `METRICS`.
        by_class: class to its precision, recall and f1, as in a classification report.
        confusion: slices by true class (rows) and predicted class, int (classes, classes).
    """

    n: int
    groups: int
    classes: tuple[str, ...]
    estimates: dict[str, Estimate]
    by_class: dict[str, dict[str, Estimate]]
    confusion: Ints

    @property
    def support(self) -> dict[str, int]:
        """How many slices truly belong to each class."""
        return dict(zip(self.classes, self.confusion.sum(axis=1).tolist(), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """The scores as plain values that JSON can hold; what is undefined becomes None."""
        return {
            "n": self.n,
            "groups": self.groups,
            "classes": list(self.classes),
            **{name: _plain(estimate) for name, estimate in self.estimates.items()},
            "by_class": {
                name: {**{metric: _plain(e) for metric, e in row.items()}, "support": support}
                for (name, row), support in zip(
                    self.by_class.items(), self.support.values(), strict=True
                )
            },
            "confusion": self.confusion.tolist(),
        }


def score(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    classes: Sequence[str],
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
) -> Scores:
    """Score predictions by every metric of `METRICS`, each with its 95 % interval.

    With two classes, `classes[1]` is the positive one and sensitivity, specificity, precision, F1,
    AUC and average precision are about it. With more, they are macro averages, each class against
    the rest. The others:

    - brier: mean squared error of the positive class's probability; with more than two classes,
      summed over the classes (Brier, Mon. Weather Rev. 78, 1950, eq. 2).
    - calibration_error: expected calibration error over 15 bins of equal width, closed on the
      right; of the positive class's probability with two classes (Naeini et al., AAAI 2015), of
      the most probable class with more (Guo et al., ICML 2017, eq. 3).
    - mcc: Matthews' correlation; R_K with more than two classes (Gorodkin, Comput. Biol. Chem. 28,
      2004, eq. 8). 0 where all predictions are one class, its limit (Chicco and Jurman, BMC
      Genomics 21, 2020).
    - log_loss: in nats, probabilities clipped to [2.2e-16, 1 - 2.2e-16].

    A metric is undefined (NaN) where its denominator is empty: sensitivity without positives,
    precision of a class that is never predicted, a macro average with an undefined term. Resamples
    in which it is undefined are left out of its interval.

    The interval always holds the value: it is widened to it where a metric's bias pushes the
    resamples to one side, as with the calibration error. Where all resamples agree (everything
    right, or a single group) the bootstrap knows nothing, and the exact Clopper-Pearson interval
    takes its place, a trial being a group that bears on the number: for sensitivity those with
    positives, for precision those with predicted positives, for a macro average those of the
    smallest class. For F1 it is that of TP / (TP + FP + FN), of which F1 is a monotone function;
    for the AUC a trial is a pair of a group with positives and one with negatives, each used once.
    For the other metrics the bounds are NaN then.

    Args:
        labels: true class of each slice, int (n,), in [0, classes).
        probabilities: of each class, float (n, classes) in [0, 1], rows summing to 1.
        groups: group of each slice, int (n,).
        classes: names of the classes, at least two.
        threshold: with two classes, the least probability of the positive class that is called
            positive, in [0, 1]; unused with more, where the most probable class is the answer.
        resamples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        BadInput: an argument breaks one of these rules.
    """
    rows = _checked_rows(labels, probabilities, groups, classes, threshold)
    if resamples < 1:
        raise BadInput(f"`resamples` must be at least 1, got {resamples}.")
    values = _measure(rows, np.ones((1, rows.truth.size)))[0]
    drawn = np.vstack([_measure(rows, weights) for weights in _weights(rows, resamples, seed)])
    names = (*METRICS, *np.repeat(_BY_CLASS, rows.classes).tolist())
    found = [
        _estimate(*column)
        for column in zip(names, values.tolist(), drawn.T, _trials(rows), strict=True)
    ]
    per_class = np.arange(len(METRICS), len(found)).reshape(len(_BY_CLASS), rows.classes).T
    return Scores(
        n=rows.truth.size,
        groups=rows.groups,
        classes=tuple(classes),
        estimates=dict(zip(METRICS, found[: len(METRICS)], strict=True)),
        by_class={
            name: {metric: found[i] for metric, i in zip(_BY_CLASS, columns, strict=True)}
            for name, columns in zip(classes, per_class.tolist(), strict=True)
        },
        confusion=_confusion(rows),
    )


def exact_interval(successes: int, n: int) -> Estimate:
    """The 95 % interval of a proportion that never covers less than it says.

    29 of 32 gives 0.750 to 0.980. (Clopper and Pearson, Biometrika 26, 1934.)

    Raises:
        BadInput: not 0 <= successes <= n, or n < 1.
    """
    _check_proportion(successes, n)
    return Estimate(successes / n, *_clopper_pearson(successes, n))


def wilson_interval(successes: int, n: int) -> Estimate:
    """The 95 % score interval of a proportion, which covers what it says on average.

    29 of 32, the paper's test set, gives 0.758 to 0.968: the "76 to 97 %" beside the paper's
    accuracy. (Wilson, J. Am. Stat. Assoc. 22, 1927; recommended by Brown, Cai and DasGupta, Stat.
    Sci. 16, 2001.)

    Raises:
        BadInput: not 0 <= successes <= n, or n < 1.
    """
    _check_proportion(successes, n)
    p = successes / n
    center = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    reach = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return Estimate(p, max(0.0, min(p, center - reach)), min(1.0, max(p, center + reach)))


@dataclass(frozen=True)
class _Ranking:
    """The slices by falling probability of one class."""

    order: Ints  # (n,)
    starts: Ints  # where each distinct probability begins in `order`
    positive: Floats  # (n,) 1 where the slice at that rank is of the class


@dataclass(frozen=True)
class _Rows:
    """Predictions, checked, with all that does not depend on the weights worked out."""

    classes: int
    groups: int
    group: Ints  # (n,) in [0, groups)
    truth: Ints  # (n,)
    predicted: Ints  # (n,)
    terms: Floats  # (n, classes² + 2 + bins): cell of the confusion matrix, log loss, Brier, bins
    rankings: tuple[_Ranking, ...]


def _checked_rows(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    classes: Sequence[str],
    threshold: float,
) -> _Rows:
    p = np.asarray(probabilities, dtype=np.float64)
    _check_probabilities(p, classes)
    truth = _integers("labels", labels, len(p))
    if truth.min() < 0 or truth.max() >= len(classes):
        raise BadInput(
            f"`labels` must lie in 0 to {len(classes) - 1}, the classes being "
            f"{', '.join(classes)}; got {truth.min()} to {truth.max()}."
        )
    if not 0 <= threshold <= 1:
        raise BadInput(f"`threshold` must lie in [0, 1], got {threshold}.")
    names, group = np.unique(_integers("groups", groups, len(p)), return_inverse=True)
    binary = len(classes) == 2
    predicted = (p[:, 1] >= threshold).astype(np.int64) if binary else p.argmax(axis=1)
    ranked = (1,) if binary else range(len(classes))
    return _Rows(
        classes=len(classes),
        groups=names.size,
        group=group,
        truth=truth,
        predicted=predicted,
        terms=_terms(truth, predicted, p),
        rankings=tuple(_ranking(p[:, k], truth == k) for k in ranked),
    )


def _check_probabilities(p: Floats, classes: Sequence[str]) -> None:
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise BadInput(f"`classes` must be two or more different names, got {list(classes)}.")
    if p.ndim != 2 or p.shape[1] != len(classes) or not len(p):
        raise BadInput(
            f"`probabilities` must have a row a slice and a column a class, here {len(classes)}, "
            f"and at least one row; got the shape {p.shape}."
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise BadInput("`probabilities` must lie in [0, 1]; some do not, or are not numbers.")
    worst = float(np.abs(p.sum(axis=1) - 1).max())
    if worst > 1e-3:
        raise BadInput(
            f"`probabilities` of a slice must sum to 1, got one that is {worst:.3g} away from it; "
            "logits must pass through a softmax or sigmoid first."
        )


def _integers(name: str, values: npt.ArrayLike, n: int) -> Ints:
    array = np.asarray(values)
    if array.shape != (n,) or array.dtype.kind not in "iub":
        raise BadInput(
            f"`{name}` must be one whole number for each of the {n} slices, got "
            f"{array.dtype} of shape {array.shape}."
        )
    return array.astype(np.int64)


def _check_proportion(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise BadInput(
            f"`successes` must lie in 0 to `n`, and `n` be at least 1; got {successes} of {n}."
        )


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


def _ranking(p: Floats, positive: npt.NDArray[np.bool_]) -> _Ranking:
    order = np.argsort(-p, kind="stable")
    starts = np.flatnonzero(np.diff(p[order], prepend=np.inf))
    return _Ranking(order, starts, positive[order].astype(np.float64))


def _weights(rows: _Rows, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each slice is in each resample, some resamples at a time, (some, n)."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // rows.truth.size)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(rows.groups, size=(size, rows.groups))
        drawn += np.arange(size)[:, None] * rows.groups
        times = np.bincount(drawn.ravel(), minlength=size * rows.groups)
        yield times.reshape(size, rows.groups)[:, rows.group].astype(np.float64)


def _measure(rows: _Rows, weights: Floats) -> Floats:
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


def _rank_metrics(rows: _Rows, weights: Floats) -> tuple[Floats, Floats]:
    """AUC and average precision, each (resamples,), averaged over the ranked classes."""
    auc, average_precision = np.mean([_rank_class(weights, r) for r in rows.rankings], axis=0)
    return auc, average_precision


def _rank_class(weights: Floats, ranking: _Ranking) -> tuple[Floats, Floats]:
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


def _by_score(drawn: Floats, ranking: _Ranking) -> Floats:
    if ranking.starts.size == ranking.order.size:
        return drawn
    summed: Floats = np.add.reduceat(drawn, ranking.starts, axis=1)
    return summed


def _trials(rows: _Rows) -> list[float]:
    """Groups that bear on each column of `_measure`; NaN where no exact interval is known."""
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


def _groups_with(rows: _Rows, mask: npt.NDArray[np.bool_]) -> Ints:
    """For each column of `mask` (n, classes), the groups that have a slice in it."""
    return np.array([np.unique(rows.group[column]).size for column in mask.T])


def _estimate(name: str, value: float, drawn: Floats, trials: float) -> Estimate:
    drawn = drawn[np.isfinite(drawn)]
    if math.isnan(value) or not drawn.size:
        return Estimate(value, math.nan, math.nan)
    if np.ptp(drawn) < _SAME:
        return Estimate(value, *_exact_bounds(name, value, trials))
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]).tolist()
    return Estimate(value, min(low, value), max(high, value))


def _exact_bounds(name: str, value: float, trials: float) -> tuple[float, float]:
    if math.isnan(trials):
        return math.nan, math.nan
    if name == "f1":
        low, high = _clopper_pearson(value / (2 - value) * trials, trials)
        return 2 * low / (1 + low), 2 * high / (1 + high)
    return _clopper_pearson(value * trials, trials)


def _clopper_pearson(successes: float, n: float) -> tuple[float, float]:
    tail = (1 - _LEVEL) / 2
    low = 0.0 if successes <= 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes >= n else float(beta.ppf(1 - tail, successes + 1, n - successes))
    return low, high


def _confusion(rows: _Rows) -> Ints:
    cells = np.bincount(rows.truth * rows.classes + rows.predicted, minlength=rows.classes**2)
    return cells.reshape(rows.classes, rows.classes)


def _plain(estimate: Estimate) -> dict[str, float | None]:
    bounds = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: None if math.isnan(number) else number for name, number in bounds.items()}
