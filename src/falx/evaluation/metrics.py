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

from falx.detect.rules import predicted_codes
from falx.errors import BadInput
from falx.evaluation.intervals import LEVEL, SAME, Estimate, clopper_pearson
from falx.evaluation.weighted import BY_CLASS, METRICS, Floats, Ints, Rows, measure, trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_CHUNK = 2**18  # weights at a time: 2 MB, which stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Scores:
    """What a set of predictions is worth.

    Attributes:
        n: slices scored.
        groups: groups among them, the number of independent observations.
        classes: names of the classes, in the order of `confusion`.
        estimates: metric to estimate, in the order of `METRICS`.
        by_class: class to its precision, recall and f1, as in a classification report.
        confusion: slices by true class (rows) and predicted class, int (classes, classes); over
            all repeats.
        repeats: how often each slice was predicted, by models that had not seen it.
    """

    n: int
    groups: int
    classes: tuple[str, ...]
    estimates: dict[str, Estimate]
    by_class: dict[str, dict[str, Estimate]]
    confusion: Ints
    repeats: int = 1

    @property
    def support(self) -> dict[str, int]:
        """How many slices truly belong to each class."""
        counts = self.confusion.sum(axis=1) // self.repeats
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """The scores as plain values that JSON can hold; what is undefined becomes None."""
        return {
            "n": self.n,
            "groups": self.groups,
            "classes": list(self.classes),
            **{name: estimate.as_dict() for name, estimate in self.estimates.items()},
            "by_class": {
                name: {**{metric: e.as_dict() for metric, e in row.items()}, "support": support}
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
    return score_repeats(
        labels,
        [probabilities],
        groups,
        classes,
        threshold=threshold,
        resamples=resamples,
        seed=seed,
    )


def score_repeats(
    labels: npt.ArrayLike,
    probabilities: Sequence[npt.ArrayLike],
    groups: npt.ArrayLike,
    classes: Sequence[str],
    *,
    threshold: float | Sequence[npt.ArrayLike] = 0.5,
    resamples: int = 2000,
    seed: int = 0,
) -> Scores:
    """As `score`, for slices that were predicted several times by models that did not see them.

    A number is the mean of those of the repeats, as in a repeated cross-validation. Its interval
    draws groups, the same in all repeats, and among the repeats, each with replacement: so it
    holds both what other patients and what other trainings would have given.

    Args:
        probabilities: as for `score`, one of each repeat.
        threshold: of all slices, or of each repeat and slice, float (n,).
    """
    each = [threshold] * len(probabilities) if isinstance(threshold, float) else threshold
    repeats = [
        _checked_rows(labels, given, groups, classes, np.asarray(line, float))
        for given, line in zip(probabilities, each, strict=True)
    ]
    if resamples < 1:
        raise BadInput(f"`resamples` must be at least 1, got {resamples}.")
    rows = repeats[0]
    every = np.ones((1, rows.truth.size))
    values = np.mean([measure(repeat, every)[0] for repeat in repeats], axis=0)
    drawn = _drawn(repeats, resamples, seed)
    names = (*METRICS, *np.repeat(BY_CLASS, rows.classes).tolist())
    found = [
        _estimate(*column)
        for column in zip(names, values.tolist(), drawn.T, trials(rows), strict=True)
    ]
    per_class = np.arange(len(METRICS), len(found)).reshape(len(BY_CLASS), rows.classes).T
    return Scores(
        n=rows.truth.size,
        groups=rows.groups,
        classes=tuple(classes),
        estimates=dict(zip(METRICS, found[: len(METRICS)], strict=True)),
        by_class={
            name: {metric: found[i] for metric, i in zip(BY_CLASS, columns, strict=True)}
            for name, columns in zip(classes, per_class.tolist(), strict=True)
        },
        confusion=np.sum([_confusion(repeat) for repeat in repeats], axis=0),
        repeats=len(repeats),
    )


def _checked_rows(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    classes: Sequence[str],
    threshold: Floats,
) -> Rows:
    p = np.asarray(probabilities, dtype=np.float64)
    _check_probabilities(p, classes)
    truth = _integers("labels", labels, len(p))
    if truth.min() < 0 or truth.max() >= len(classes):
        raise BadInput(
            f"`labels` must lie in 0 to {len(classes) - 1}, the classes being "
            f"{', '.join(classes)}; got {truth.min()} to {truth.max()}."
        )
    if not ((threshold >= 0) & (threshold <= 1)).all():
        raise BadInput(f"`threshold` must lie in [0, 1], got {threshold}.")
    return Rows.of(truth, predicted_codes(p, threshold), p, _integers("groups", groups, len(p)))


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


def _weights(rows: Rows, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each slice is in each resample, some resamples at a time, (some, n)."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // rows.truth.size)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(rows.groups, size=(size, rows.groups))
        drawn += np.arange(size)[:, None] * rows.groups
        times = np.bincount(drawn.ravel(), minlength=size * rows.groups)
        yield times.reshape(size, rows.groups)[:, rows.group].astype(np.float64)


def _drawn(repeats: Sequence[Rows], resamples: int, seed: int) -> Floats:
    """Every metric of each resample, (resamples, metrics): the mean over drawn repeats."""
    each = np.stack(
        [
            np.vstack([measure(rows, weights) for weights in _weights(rows, resamples, seed)])
            for rows in repeats
        ]
    )
    picked = np.random.default_rng((seed, 1)).integers(len(repeats), size=(resamples, len(repeats)))
    return each[picked, np.arange(resamples)[:, None]].mean(axis=1)


def _estimate(name: str, value: float, drawn: Floats, trials: float) -> Estimate:
    drawn = drawn[np.isfinite(drawn)]
    if math.isnan(value) or not drawn.size:
        return Estimate(value, math.nan, math.nan)
    if np.ptp(drawn) < SAME:
        return Estimate(value, *_exact_bounds(name, value, trials))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Estimate(value, min(low, value), max(high, value))


def _exact_bounds(name: str, value: float, trials: float) -> tuple[float, float]:
    if math.isnan(trials):
        return math.nan, math.nan
    if name == "f1":
        low, high = clopper_pearson(value / (2 - value) * trials, trials)
        return 2 * low / (1 + low), 2 * high / (1 + high)
    return clopper_pearson(value * trials, trials)


def _confusion(rows: Rows) -> Ints:
    cells = np.bincount(rows.truth * rows.classes + rows.predicted, minlength=rows.classes**2)
    return cells.reshape(rows.classes, rows.classes)
