"""The rules for whole studies, chosen on the studies of the validation part.

A study is calibrated on studies: the mean of its most suspicious slices is larger than the
probability that it shows a tumor, the more so the more slices it has.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from falx.data.class_names import has_negative
from falx.detect.rules import Rules, StudyRules
from falx.evaluation.calibration import fit_conformal_threshold, operating_threshold
from falx.evaluation.predictions import Predictions
from falx.evaluation.studies import TOP_FRACTIONS, Studies, find_studies, pooled_studies

MIN_STUDIES = 20
"""Patients (groups) with studies that are needed to choose rules for studies, at least
`MIN_OF_CLASS` of each class: below, the interval of their sensitivity alone would be wider than 40
points."""

MIN_OF_CLASS = 5

_CLIP = 1e-6


def calibrate_studies(validation: Predictions, *, top_fraction: float | str) -> Rules:
    """The rules of a detector with those for studies, as far as its validation part allows.

    Args:
        validation: calibrated predictions of one detector on validation slices.
        top_fraction: of a study's slices that decide; "validation" to choose it here.

    Returns:
        The detector's rules with `top_fraction`, and with `study` if there are enough studies of
        two classes.
    """
    (rules,) = validation.rules[0]
    classes, negative = validation.classes, has_negative(validation.classes)
    studies = find_studies(validation.table, validation.labels, negative=negative)
    groups = _groups(validation, studies)
    enough = _are_enough(studies.labels, groups, len(classes))
    if isinstance(top_fraction, str):
        top_fraction = _top_fraction(validation, studies, enough=enough, negative=negative)
    rules = replace(rules, top_fraction=top_fraction)
    if len(classes) != 2 or not enough:
        return rules
    pooled = pooled_studies(validation, studies, top_fraction)
    answered = np.flatnonzero(np.isfinite(pooled[:, 0]))
    labels, pooled, groups = studies.labels[answered], pooled[answered], groups[answered]
    scaling = _scaling(pooled, labels) if _are_enough(labels, groups, 2) else None
    if scaling is None or scaling.slope <= 0:
        return rules
    # Each study is judged by the scaling that the studies of other patients give.
    probabilities = np.empty_like(pooled)
    for group in np.unique(groups):
        own = groups == group
        probabilities[own] = _scaling(pooled[~own], labels[~own]).calibrated(pooled[own])
    return replace(
        rules,
        study=replace(
            scaling,
            threshold=operating_threshold(probabilities, labels, rules.operating_point),
            conformal_threshold=fit_conformal_threshold(probabilities, labels, rules.alpha),
        ),
    )


def _groups(validation: Predictions, studies: Studies) -> np.ndarray:
    """The group of each study: int (studies,)."""
    first = [rows[0] for rows in studies.rows]
    groups: np.ndarray = validation.groups[np.array(first, np.int64)]
    return groups


def _are_enough(labels: np.ndarray, groups: np.ndarray, classes: int) -> bool:
    """Whether studies of so many groups, such as patients, can decide on rules."""
    of_class = [len(np.unique(groups[labels == code])) for code in range(classes)]
    return len(np.unique(groups)) >= MIN_STUDIES and min(of_class) >= MIN_OF_CLASS


def _top_fraction(
    validation: Predictions, studies: Studies, *, enough: bool, negative: bool
) -> float:
    """The fraction of most likely slices whose mean probability separates the studies best.

    By log loss; the first of `TOP_FRACTIONS` where the studies are too few to decide. Where no
    class is negative, slices of a study can't be ranked, and the mean of all is taken.
    """
    if not negative:
        return 1.0
    if not enough:
        return TOP_FRACTIONS[0]
    classes = range(len(validation.classes))

    def loss(fraction: float) -> float:
        pooled = pooled_studies(validation, studies, fraction)
        answered = np.isfinite(pooled[:, 0])
        if not answered.any():
            return math.inf
        return float(log_loss(studies.labels[answered], pooled[answered], labels=classes))

    return min(TOP_FRACTIONS, key=loss)


def _scaling(pooled: np.ndarray, labels: np.ndarray) -> StudyRules:
    """Platt scaling of the positive class, from pooled probabilities (n, 2), without thresholds.

    Targets are smoothed to (n + 1) / (n + 2), of n studies of the class (Platt, 1999): each study
    counts with both labels, weighted so. The slope has scikit-learn's default penalty.
    """
    inside = np.clip(pooled[:, 1], _CLIP, 1 - _CLIP)
    logits = np.log(inside / (1 - inside))[:, None]
    smoothing = 1 / (np.bincount(labels, minlength=2)[labels] + 2)
    model = LogisticRegression().fit(
        np.concatenate([logits, logits]),
        np.concatenate([labels, 1 - labels]),
        sample_weight=np.concatenate([1 - smoothing, smoothing]),
    )
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return StudyRules(slope, intercept, 0.5, 0.0, len(labels))
