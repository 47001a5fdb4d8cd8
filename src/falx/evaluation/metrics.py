"""How well predictions agree with the labels, each metric with its 95 % confidence interval.

The interval is the percentile bootstrap over groups (see falx.statistics), so that near-duplicates
cannot narrow it. Metrics are computed from weights, a row a resample and a column a slice; the
value itself is the same code with every weight 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.detect.rules import predicted_codes
from falx.errors import BadInput
from falx.evaluation.weighted_metrics import (
    CLASS_METRICS,
    METRIC_NAMES,
    PROPORTIONS,
    MetricInputs,
    compute_metrics,
    contributing_groups,
)
from falx.notebook import block, table
from falx.statistics import (
    RESAMPLES,
    Estimate,
    Floats,
    Ints,
    bootstrap_groups,
    mean_over_repeats,
    percentile_interval,
    proportion_interval,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADLINES = ("accuracy", "roc_auc")


@dataclass(frozen=True, eq=False)
class Scores:
    """The metrics of a set of predictions; each is an attribute too, such as `scores.roc_auc`.

    Attributes:
        n: slices scored.
        groups: groups among them: the number of independent observations.
        classes: names of the classes, in the order of `confusion`.
        estimates: metric to estimate, in the order of `METRIC_NAMES`.
        by_class: class to its precision, recall and F1, as in scikit-learn's classification report.
        confusion: confusion matrix, true class by predicted class, int (classes, classes); summed
            over repeats.
        repeats: how often each slice was predicted, each time by a model not trained on it.
    """

    n: int
    groups: int
    classes: tuple[str, ...]
    estimates: dict[str, Estimate]
    by_class: dict[str, dict[str, Estimate]]
    confusion: Ints
    repeats: int = 1

    def __getattr__(self, name: str) -> Estimate:
        """The estimate of a metric."""
        estimates: dict[str, Estimate] = self.__dict__.get("estimates", {})
        if name not in estimates:
            raise AttributeError(f"There is no metric '{name}', only {', '.join(estimates)}.")
        return estimates[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.estimates]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {self.estimates[name]}" for name in _HEADLINES)
        return f"Scores({self.n} slices of {self.groups} groups: {shown})"

    def _repr_html_(self) -> str:
        rows = [
            (name.replace("_", " "), f"{each.value:.3f}", _interval(each))
            for name, each in self.estimates.items()
        ]
        return block(
            f"{self.n} slices of {self.groups} groups",
            table(("metric", "value", "95 % confidence interval"), rows),
        )

    @property
    def support(self) -> dict[str, int]:
        """Slices of each class."""
        counts = self.confusion.sum(axis=1) // self.repeats
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; undefined values become None."""
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
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Scores:
    """Compute every metric of `METRIC_NAMES`, each with its 95 % confidence interval.

    With two classes, `classes[1]` is the positive one, and sensitivity, specificity, precision,
    F1, AUC and average precision refer to it. With more, they are macro averages, one versus rest.
    The others:

    - brier: mean squared error of the probability of the positive class; with more than two
      classes, summed over classes (Brier, Mon. Weather Rev. 78, 1950, eq. 2).
    - calibration_error: expected calibration error in 15 bins of equal width, closed on the right;
      of the probability of the positive class with two classes (Naeini et al., AAAI 2015), of the
      most probable class with more (Guo et al., ICML 2017, eq. 3).
    - mcc: Matthews correlation coefficient; R_K with more than two classes (Gorodkin, Comput.
      Biol. Chem. 28, 2004, eq. 8). 0, its limit, where all predictions are one class (Chicco and
      Jurman, BMC Genomics 21, 2020).
    - log_loss: in nats, with probabilities clipped to [2.2e-16, 1 - 2.2e-16].

    A metric is undefined (NaN) where its denominator is 0: sensitivity without positives,
    precision of a class that is never predicted, a macro average with an undefined term. Resamples
    in which it is undefined are left out of its interval.

    The interval is widened to hold the value where a metric's bias pushes the replicates to one
    side, as with the calibration error. Where fewer than ten groups contribute to a metric there is
    none (NaN), unless the metric is 0 or 1 in all of them. Where all replicates agree (no errors)
    it is the exact Clopper-Pearson interval, a trial being a group that contributes to the metric:
    for sensitivity those with positives, for precision those with predicted positives, for a macro
    average those of the smallest class. For F1 it is that of TP / (TP + FP + FN), of which F1 is a
    monotone function; for the AUC a trial is a pair of a group with positives and one with
    negatives, each used once. For the other metrics the bounds are NaN then.

    Args:
        labels: true class of each slice, int (n,), in [0, classes).
        probabilities: of each class, float (n, classes) in [0, 1], rows summing to 1.
        groups: group of each slice, int (n,).
        classes: names of the classes, at least two.
        threshold: with two classes, the least probability of the positive class that is predicted
            positive, in [0, 1]; unused with more, where the most probable class is predicted.
        resamples: bootstrap resamples.
        seed: of the bootstrap.

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
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Scores:
    """As `score`, for a repeated cross-validation: every slice predicted once in each repeat.

    A metric is the mean over repeats. Its interval resamples groups, the same in all repeats, and
    repeats, so that it reflects both the sampling of patients and the variation of training.

    Args:
        labels, groups, classes, resamples, seed: as for `score`.
        probabilities: as for `score`, one array per repeat.
        threshold: of all slices, or per repeat one of each slice, float (n,).

    Raises:
        BadInput: as for `score`.
    """
    repeats = _checked_repeats(labels, probabilities, groups, classes, threshold)
    values, replicates = _bootstrap(repeats, resamples, seed)
    inputs = repeats[0]
    names = (*METRIC_NAMES, *np.repeat(CLASS_METRICS, inputs.n_classes).tolist())
    columns = zip(names, values.tolist(), replicates.T, contributing_groups(inputs), strict=True)
    found = [_estimate(*column) for column in columns]
    per_class = np.arange(len(METRIC_NAMES), len(found)).reshape(len(CLASS_METRICS), -1).T
    return Scores(
        n=inputs.labels.size,
        groups=inputs.n_groups,
        classes=tuple(classes),
        estimates=dict(zip(METRIC_NAMES, found[: len(METRIC_NAMES)], strict=True)),
        by_class={
            name: {metric: found[i] for metric, i in zip(CLASS_METRICS, row, strict=True)}
            for name, row in zip(classes, per_class.tolist(), strict=True)
        },
        confusion=np.sum([_confusion(repeat) for repeat in repeats], axis=0),
        repeats=len(repeats),
    )


def bootstrap_metrics(
    labels: npt.ArrayLike,
    probabilities: Sequence[npt.ArrayLike],
    groups: npt.ArrayLike,
    classes: Sequence[str],
    *,
    threshold: float | Sequence[npt.ArrayLike] = 0.5,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, Floats]]:
    """Every metric and its bootstrap replicates, for paired comparisons of two models.

    Models of the same labels, groups and number of repeats are resampled alike: the difference of
    two replicates is a replicate of the difference. Arguments are those of `score_repeats`.

    Returns:
        Metric to its value and replicates, float (resamples,).
    """
    repeats = _checked_repeats(labels, probabilities, groups, classes, threshold)
    values, replicates = _bootstrap(repeats, resamples, seed)
    # The metrics of single classes follow those in METRIC_NAMES.
    return dict(zip(METRIC_NAMES, zip(values.tolist(), replicates.T, strict=True), strict=False))


def _checked_repeats(
    labels: npt.ArrayLike,
    probabilities: Sequence[npt.ArrayLike],
    groups: npt.ArrayLike,
    classes: Sequence[str],
    threshold: float | Sequence[npt.ArrayLike],
) -> list[MetricInputs]:
    thresholds = [threshold] * len(probabilities) if isinstance(threshold, float) else threshold
    return [
        _checked_inputs(labels, repeat, groups, classes, np.asarray(thresholds_of_repeat, float))
        for repeat, thresholds_of_repeat in zip(probabilities, thresholds, strict=True)
    ]


def _checked_inputs(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    classes: Sequence[str],
    threshold: Floats,
) -> MetricInputs:
    p = np.asarray(probabilities, dtype=np.float64)
    _check_probabilities(p, classes)
    codes = _integers("labels", labels, len(p))
    if codes.min() < 0 or codes.max() >= len(classes):
        raise BadInput(
            f"`labels` must lie in 0 to {len(classes) - 1}, the classes being "
            f"{', '.join(classes)}; got {codes.min()} to {codes.max()}."
        )
    if not ((threshold >= 0) & (threshold <= 1)).all():
        raise BadInput(f"`threshold` must lie in [0, 1], got {threshold}.")
    return MetricInputs.of(
        codes, predicted_codes(p, threshold), p, _integers("groups", groups, len(p))
    )


def _check_probabilities(p: Floats, classes: Sequence[str]) -> None:
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise BadInput(f"`classes` must be two or more different names, got {list(classes)}.")
    if p.ndim != 2 or p.shape[1] != len(classes) or not len(p):
        raise BadInput(
            f"`probabilities` must have a row for each slice and a column for each class, here "
            f"{len(classes)}, and at least one row; got the shape {p.shape}."
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise BadInput("`probabilities` must lie in [0, 1]; some do not, or are NaN.")
    worst = float(np.abs(p.sum(axis=1) - 1).max())
    if worst > 1e-3:
        raise BadInput(
            f"`probabilities` of a slice must sum to 1, got a sum that is {worst:.3g} off; apply a "
            "softmax or sigmoid to logits first."
        )


def _integers(name: str, values: npt.ArrayLike, n: int) -> Ints:
    array = np.asarray(values)
    if array.shape != (n,) or array.dtype.kind not in "iub":
        raise BadInput(
            f"`{name}` must be one integer for each of the {n} slices, got "
            f"{array.dtype} of shape {array.shape}."
        )
    return array.astype(np.int64)


def _bootstrap(repeats: Sequence[MetricInputs], resamples: int, seed: int) -> tuple[Floats, Floats]:
    """The mean over repeats of every metric, and its replicates over groups and repeats.

    Returns:
        Values, float (metrics,), and replicates, float (resamples, metrics).
    """
    if resamples < 1:
        raise BadInput(f"`resamples` must be at least 1, got {resamples}.")
    once = np.ones((1, repeats[0].labels.size))
    values = np.mean([compute_metrics(inputs, once)[0] for inputs in repeats], axis=0)
    each = np.stack([_replicates(inputs, resamples, seed) for inputs in repeats])
    return values, mean_over_repeats(each, seed)


def _replicates(inputs: MetricInputs, resamples: int, seed: int) -> Floats:
    """Every metric of each resample of the groups, (resamples, metrics)."""
    chunks = bootstrap_groups(
        inputs.n_groups, resamples=resamples, seed=seed, columns=inputs.labels.size
    )
    return np.vstack(
        [
            compute_metrics(inputs, times[:, inputs.group_codes].astype(np.float64))
            for times in chunks
        ]
    )


def _estimate(name: str, value: float, replicates: Floats, groups: int) -> Estimate:
    found = percentile_interval(value, replicates, groups)
    if found:
        return found
    if name not in PROPORTIONS:
        return Estimate(value, math.nan, math.nan)
    if name != "f1":
        return proportion_interval(value, groups)
    # F1 is a monotone function of the Jaccard index TP / (TP + FP + FN), which is a proportion.
    jaccard = proportion_interval(value / (2 - value), groups)
    return Estimate(value, *(2 * bound / (1 + bound) for bound in (jaccard.low, jaccard.high)))


def _confusion(inputs: MetricInputs) -> Ints:
    n = inputs.n_classes
    return np.bincount(inputs.labels * n + inputs.predicted, minlength=n**2).reshape(n, n)


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return "none, of too few groups"
    return f"{estimate.low:.3f} to {estimate.high:.3f}"
