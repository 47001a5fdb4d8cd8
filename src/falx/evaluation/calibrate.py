"""Probabilities that mean what they say, and the rules that are read off them.

All of it is chosen on slices that the network was not trained on, and none of it on those that it
is tested on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.metrics import roc_curve

from falx import defaults
from falx.detect.rules import Rules
from falx.errors import BadInput

_PRIOR = 0.25
"""Standard deviation of the logarithm of a temperature, before any slice was seen: what a few
dozens of slices say of it beyond that is mostly chance."""

_FURTHEST = 3.0
"""Of the logarithm of a temperature from 0."""


def calibrate(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    operating_point: str,
    error: float,
) -> Rules:
    """Temperature, threshold and inclusion from slices that were not trained on.

    Args:
        probabilities: as the network gave them, float (n, classes).
        labels: class codes, int (n,).
        operating_point: see `operating_threshold`.
        error: see `least_inclusion`.

    Raises:
        BadInput: an operating point or an error that there is not.
    """
    check_rules(classes, operating_point=operating_point, error=error)
    temperature = fit_temperature(probabilities, labels)
    calibrated = tempered(probabilities, temperature)
    return Rules(
        threshold=operating_threshold(calibrated, labels, operating_point),
        operating_point=operating_point,
        temperature=temperature,
        error=error,
        inclusion=least_inclusion(calibrated, labels, error),
    )


def check_rules(classes: Sequence[str], *, operating_point: str, error: float) -> None:
    """See that rules can be chosen.

    Raises:
        BadInput: they can't.
    """
    if not 0 < error < 1:
        raise BadInput(f"--error must be above 0 and below 1, got {error:g}.")
    _parsed(operating_point)
    if operating_point != defaults.OPERATING_POINT and len(classes) != 2:
        raise BadInput(
            f"The operating point '{operating_point}' is one of two classes, and there are "
            f"{len(classes)}, of which the most probable is the answer; leave it out."
        )


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """What logits are to be divided by so that probabilities are shares (Guo et al., ICML 2017).

    The temperature of least cross-entropy with targets that fall a little short of 1, as they do
    for Platt (Advances in Large Margin Classifiers, 1999, section 2.2): n slices of a class say
    that its probability is (n + 1) / (n + 2) and no more, so that a few dozens that happen to be
    right don't make a network sure. Its logarithm has a normal prior around 0.

    Args:
        probabilities: float (n, classes).
        labels: class codes, int (n,).
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)[labels]
    short = 1 / (counts + 2)
    targets = np.repeat(short[:, None] / (classes - 1), classes, axis=1)
    targets[np.arange(len(labels)), labels] = 1 - short

    def loss(logarithm: float) -> float:
        given = tempered(probabilities, float(np.exp(logarithm)))
        told = targets * np.log(np.maximum(given, np.finfo(np.float64).tiny))
        return float(logarithm**2 / (2 * _PRIOR**2) - told.sum())

    best = minimize_scalar(loss, bounds=(-_FURTHEST, _FURTHEST), method="bounded")
    return float(np.exp(best.x))


def tempered(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """The probabilities that logits divided by a temperature would have given: (n, classes)."""
    tiny = np.finfo(np.float64).tiny
    logits = np.log(np.maximum(probabilities, tiny)) / np.reshape(temperature, (-1, 1))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return result


def operating_threshold(
    probabilities: np.ndarray, labels: np.ndarray, operating_point: str
) -> float:
    """The least probability of the positive class that is to be called so.

    Args:
        probabilities: calibrated, float (n, 2); with more columns the threshold is of no use.
        labels: class codes, int (n,), both of them there.
        operating_point: "0.5" or another number; "youden" for the largest sum of sensitivity and
            specificity (Youden, Cancer 3, 1950); "sensitivity=0.95" for the highest threshold with
            such a sensitivity. Between two slices, the threshold lies halfway.

    Raises:
        BadInput: it is none of them.
    """
    kind, value = _parsed(operating_point)
    if kind == "fixed" or probabilities.shape[1] != 2:
        return value
    positive = probabilities[:, 1]
    false_alarms, found, thresholds = roc_curve(labels == 1, positive, drop_intermediate=False)
    if kind == "sensitivity":
        place = int(np.flatnonzero(found >= value - 1e-12)[0])
    else:
        gain = found - false_alarms
        best = np.flatnonzero(gain >= gain.max() - 1e-12)
        place = int(best[np.argmin(np.abs(thresholds[best] - 0.5))])
    # The curve begins above all slices.
    above = min(float(thresholds[place]), 1.0)
    below = positive[positive < above]
    return (above + float(below.max(initial=0.0))) / 2


def least_inclusion(probabilities: np.ndarray, labels: np.ndarray, error: float) -> float:
    """The least probability with which a class stays possible, in [0, 1].

    Split conformal prediction by the probability of the true class (Sadinle, Lei and Wasserman, J.
    Am. Stat. Assoc. 114, 2019): of slices like these, the true class falls below it in a share
    `error`. The quantile is that of rank (n + 1) error, between two slices in proportion, so that
    the share is met on average; the next lower rank would promise that it is no larger, and with a
    few dozens of slices miss it by some points. 0, so that all classes stay possible, where there
    are too few slices to tell.

    Args:
        probabilities: calibrated, float (n, classes).
        labels: class codes, int (n,).
    """
    # A rank that is whole must be so in floating point too, lest its slice fall below the line.
    rank = round((len(labels) + 1) * error, 9)
    if rank < 1:
        return 0.0
    given = probabilities[np.arange(len(labels)), labels]
    return float(np.interp(rank, np.arange(1, len(given) + 1), np.sort(given)))


def _parsed(operating_point: str) -> tuple[str, float]:
    """Its kind: "fixed", "youden" or "sensitivity", and the number that belongs to it."""
    if operating_point == "youden":
        return "youden", 0.5
    found = re.fullmatch(r"(sensitivity=)?(\d*\.?\d+)", operating_point)
    if not found or not 0 < float(found[2]) < 1:
        raise BadInput(
            f"There is no operating point '{operating_point}'; choose a probability such as 0.5, "
            "'youden', or a sensitivity such as sensitivity=0.95."
        )
    return "sensitivity" if found[1] else "fixed", float(found[2])
