"""Whether an answer can be relied on: calibration, coverage, referral, out-of-distribution rate.

Measured on slices that neither trained the network nor chose its rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.detect.rules import predicted_codes
from falx.evaluation.calibration import apply_temperature
from falx.evaluation.metrics import Scores, score_repeats
from falx.evaluation.predictions import Predictions
from falx.statistics import Estimate, mean_interval

CALIBRATION_METRICS = ("log_loss", "brier", "calibration_error")


@dataclass(frozen=True)
class Reliability:
    """What a detector's rules are worth.

    Attributes:
        alpha: conformal miscoverage that was asked for; 1 - alpha is the target coverage.
        coverage: share of slices whose prediction set holds the true class.
        coverage_by_class: the same for the slices of each class.
        out_of_distribution: share of slices rejected as out-of-distribution.
        referred: share of the slices not rejected that are to be referred.
        selective_accuracy: accuracy on the slices neither rejected nor referred; NaN where there
            are none.
        temperature: of temperature scaling, the mean over slices.
        before: `CALIBRATION_METRICS` of the probabilities before calibration, by name.
        after: of the calibrated ones.
    """

    alpha: float
    coverage: Estimate
    coverage_by_class: dict[str, Estimate]
    out_of_distribution: Estimate
    referred: Estimate
    selective_accuracy: Estimate
    temperature: float
    before: dict[str, Estimate]
    after: dict[str, Estimate]


def score_reliability(predictions: Predictions, scores: Scores) -> Reliability:
    """Score the rules of predictions, with 95 % confidence intervals over groups.

    Args:
        scores: of the same predictions.
    """
    repeats, rules = predictions.repeats, predictions.slice_rules
    labels = np.tile(predictions.labels, repeats)
    groups = np.tile(predictions.groups, repeats)
    probabilities = np.concatenate(predictions.probabilities)
    statuses = np.concatenate(predictions.statuses)
    conformal_threshold = np.concatenate([each.conformal_threshold for each in rules])
    covered = probabilities[np.arange(len(labels)), labels] >= conformal_threshold
    right = predicted_codes(probabilities, np.concatenate(predictions.thresholds)) == labels
    known, answered = statuses != "out_of_distribution", statuses == "answer"
    before = score_repeats(
        predictions.labels, _uncalibrated(predictions), predictions.groups, predictions.classes
    )
    return Reliability(
        alpha=predictions.rules[0][0].alpha,
        coverage=mean_interval(covered, groups),
        coverage_by_class={
            name: _mean(covered, groups, labels == code)
            for code, name in enumerate(predictions.classes)
        },
        out_of_distribution=mean_interval(~known, groups),
        referred=_mean(statuses == "refer", groups, known),
        selective_accuracy=_mean(right, groups, answered),
        temperature=float(np.concatenate([each.temperature for each in rules]).mean()),
        before=_calibration(before),
        after=_calibration(scores),
    )


def _uncalibrated(predictions: Predictions) -> list[np.ndarray]:
    """Probabilities as the networks gave them, by repeat: float (n, classes)."""
    if predictions.uncalibrated is not None:
        return list(predictions.uncalibrated)
    pairs = zip(predictions.probabilities, predictions.slice_rules, strict=True)
    return [apply_temperature(values, 1 / rules.temperature) for values, rules in pairs]


def _mean(values: np.ndarray, groups: np.ndarray, rows: np.ndarray) -> Estimate:
    if not rows.any():
        return Estimate(np.nan, np.nan, np.nan)
    return mean_interval(values[rows], groups[rows])


def _calibration(scores: Scores) -> dict[str, Estimate]:
    return {name: scores.estimates[name] for name in CALIBRATION_METRICS}
