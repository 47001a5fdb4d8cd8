"""Temperature scaling, the operating point and the conformal threshold.

All are fitted on validation slices: never on those that the network was trained on, nor on those
that it is tested on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.metrics import roc_curve

from falx.detect.rules import Rules
from falx.errors import BadInput

_PRIOR_DEVIATION = 0.25
"""Standard deviation of the prior on the log temperature: with a few dozen slices, larger
deviations from 0 are mostly noise."""

_MAX_LOG_TEMPERATURE = 3.0


def calibrate(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    operating_point: str,
    alpha: float,
) -> Rules:
    """Fit temperature, threshold and conformal threshold on validation slices.

    Args:
        probabilities: uncalibrated, float (n, classes).
        labels: class codes, int (n,).
        classes: their names.
        operating_point: see `operating_threshold`.
        alpha: conformal miscoverage, see `fit_conformal_threshold`.

    Raises:
        BadInput: an unknown operating point, or alpha out of range.
    """
    check_rules(classes, operating_point=operating_point, alpha=alpha)
    temperature = fit_temperature(probabilities, labels)
    calibrated = apply_temperature(probabilities, temperature)
    return Rules(
        threshold=operating_threshold(calibrated, labels, operating_point),
        operating_point=operating_point,
        temperature=temperature,
        alpha=alpha,
        conformal_threshold=fit_conformal_threshold(calibrated, labels, alpha),
    )


def check_rules(classes: Sequence[str], *, operating_point: str, alpha: float) -> None:
    """Check the arguments of `calibrate` before a training starts.

    Raises:
        BadInput: an unknown operating point, or alpha out of range.
    """
    if not 0 < alpha < 1:
        raise BadInput(f"--alpha must be above 0 and below 1, got {alpha:g}.")
    _parse_operating_point(operating_point)
    if operating_point != Rules.operating_point and len(classes) != 2:
        raise BadInput(
            f"The operating point '{operating_point}' is for two classes, and there are "
            f"{len(classes)}, of which the most probable is predicted; leave it out."
        )


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that calibrates the probabilities (Guo et al., ICML 2017).

    It minimizes the cross-entropy with smoothed targets (Platt, Advances in Large Margin
    Classifiers, 1999, section 2.2): (n + 1) / (n + 2) for the true class, of which there are n
    slices, so that a few dozen correct predictions don't lead to extreme confidence. The log
    temperature has a normal prior around 0.

    Args:
        probabilities: uncalibrated, float (n, classes).
        labels: class codes, int (n,).

    Returns:
        The temperature, between exp(-3) and exp(3).
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)[labels]
    smoothing = 1 / (counts + 2)
    targets = np.repeat(smoothing[:, None] / (classes - 1), classes, axis=1)
    targets[np.arange(len(labels)), labels] = 1 - smoothing

    def loss(log_temperature: float) -> float:
        scaled = apply_temperature(probabilities, float(np.exp(log_temperature)))
        log_likelihoods = targets * np.log(np.maximum(scaled, np.finfo(np.float64).tiny))
        return float(log_temperature**2 / (2 * _PRIOR_DEVIATION**2) - log_likelihoods.sum())

    bounds = (-_MAX_LOG_TEMPERATURE, _MAX_LOG_TEMPERATURE)
    best = minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(best.x))


def apply_temperature(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Temperature scaling: the softmax of the logits divided by the temperature.

    Args:
        probabilities: float (n, classes); their logarithms are the logits.
        temperature: above 0, of all slices or of each, float (n,).

    Returns:
        Probabilities, float (n, classes).
    """
    tiny = np.finfo(np.float64).tiny
    logits = np.log(np.maximum(probabilities, tiny)) / np.reshape(temperature, (-1, 1))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return scaled


def operating_threshold(
    probabilities: np.ndarray, labels: np.ndarray, operating_point: str
) -> float:
    """The least probability of the positive class that is predicted positive.

    Args:
        probabilities: calibrated, float (n, 2); with more classes the threshold is unused.
        labels: class codes, int (n,), both present.
        operating_point: "0.5" or another number; "youden" for the largest sum of sensitivity and
            specificity (Youden, Cancer 3, 1950); "sensitivity=0.95" for the highest threshold with
            at least this sensitivity. Between two slices, the threshold lies halfway.

    Raises:
        BadInput: an unknown operating point.
    """
    kind, value = _parse_operating_point(operating_point)
    if kind == "fixed" or probabilities.shape[1] != 2:
        return value
    positive = probabilities[:, 1]
    fpr, tpr, thresholds = roc_curve(labels == 1, positive, drop_intermediate=False)
    if kind == "sensitivity":
        point = int(np.flatnonzero(tpr >= value - 1e-12)[0])
    else:
        youden = tpr - fpr
        best = np.flatnonzero(youden >= youden.max() - 1e-12)
        point = int(best[np.argmin(np.abs(thresholds[best] - 0.5))])
    # The first threshold of the curve is infinite.
    above = min(float(thresholds[point]), 1.0)
    below = positive[positive < above]
    return (above + float(below.max(initial=0.0))) / 2


def fit_conformal_threshold(probabilities: np.ndarray, labels: np.ndarray, alpha: float) -> float:
    """The least probability of the classes in a prediction set, in [0, 1].

    Split conformal prediction with the probability of the true class as the score (Sadinle, Lei
    and Wasserman, J. Am. Stat. Assoc. 114, 2019): on exchangeable slices, the sets hold the true
    class with probability 1 - alpha. The quantile is that of rank (n + 1) alpha, interpolated
    between two slices, so that coverage is 1 - alpha on average; the next lower rank would
    guarantee at least 1 - alpha, and with a few dozen slices exceed it by some points.

    Args:
        probabilities: calibrated, float (n, classes).
        labels: class codes, int (n,).
        alpha: conformal miscoverage, in (0, 1).

    Returns:
        The threshold; 0, so that sets hold every class, where (n + 1) alpha is below 1.
    """
    # Rounded, so that a whole rank is whole in floating point too and its slice is not excluded.
    rank = round((len(labels) + 1) * alpha, 9)
    if rank < 1:
        return 0.0
    of_label = probabilities[np.arange(len(labels)), labels]
    return float(np.interp(rank, np.arange(1, len(of_label) + 1), np.sort(of_label)))


def _parse_operating_point(operating_point: str) -> tuple[str, float]:
    """Its kind, "fixed", "youden" or "sensitivity", and its probability or sensitivity."""
    if operating_point == "youden":
        return "youden", 0.5
    match = re.fullmatch(r"(sensitivity=)?(\d*\.?\d+)", operating_point)
    if not match or not 0 < float(match[2]) < 1:
        raise BadInput(
            f"Unknown operating point '{operating_point}'; choose a probability such as 0.5, "
            "'youden', or a sensitivity such as sensitivity=0.95."
        )
    return "sensitivity" if match[1] else "fixed", float(match[2])
