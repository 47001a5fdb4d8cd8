"""Fitting out-of-distribution (OOD) detection: the Mahalanobis reference and its threshold.

Both use features that no phase of a shipped recipe trains. Where a recipe trains them, the features
of training slices become more alike than those of new slices, and the threshold, which is estimated
on training slices, is too low; the user is warned.
"""

from __future__ import annotations

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import GroupKFold

from falx.model.reference import OOD_LAYER, OOD_LAYER_INDEX, MahalanobisReference
from falx.recipe import Recipe

OOD_RATE = 0.01
"""Fraction of in-distribution slices beyond the threshold."""

NO_OOD_THRESHOLD = (
    "the OOD threshold can't be estimated, since there are too few groups or one holds most of the "
    "slices; no slice will be reported as out-of-distribution"
)
"""What `fit_ood_threshold` returning None means."""

OOD_LAYER_TRAINED = (
    f"The recipe trains layers below {OOD_LAYER}, whose features are used for out-of-distribution "
    "detection. Features of training slices then become more alike than those of new slices, and "
    f"more than {OOD_RATE:.0%} of new slices like these may be rejected as out-of-distribution; "
    "the report gives the number in the test part."
)
"""The warning where `trains_ood_layer`."""

_FOLDS = 5
_MIN_FIT_FRACTION = 0.5
"""Minimum fraction of the slices in the reference of each fold."""
_RIDGE = 1e-9
"""Added to each variance, relative to the variance of all features."""


def trains_ood_layer(recipe: Recipe) -> bool:
    """Whether a recipe trains the layers that compute the features of OOD detection."""
    return any(
        phase.epochs and phase.unfreeze_from != "head" and phase.unfreeze_from < OOD_LAYER_INDEX
        for phase in recipe.phases
    )


def fit_mahalanobis(features: np.ndarray) -> MahalanobisReference:
    """Mean and whitening matrix of features (n, channels), n at least 2.

    For a detector, of plain and of corrupted views: by the covariance of plain ones alone, a slice
    that is a little blurred or noisy would lie as far away as a photograph, since training slices
    hardly differ in what blur and noise change.

    The covariance is shrunk towards a multiple of the identity (Ledoit and Wolf, J. Multivar. Anal.
    88, 2004), so that it can be inverted even with few slices.
    """
    # Feature banks are in half precision, in which a sum over many slices overflows.
    features = features.astype(np.float64)
    scale = float(features.std()) or 1.0
    # The precision matrix would be a pseudo-inverse by eigenvalues, five times the rest of the fit.
    covariance = LedoitWolf(store_precision=False).fit(features / scale).covariance_
    # The covariance of constant features is singular.
    covariance += _RIDGE * np.eye(len(covariance))
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)) / scale
    mean = features.mean(axis=0, dtype=np.float64)
    return MahalanobisReference(mean.astype(np.float32), whitening.astype(np.float32))


def fit_ood_threshold(
    features: np.ndarray, corrupted: np.ndarray, groups: np.ndarray
) -> float | None:
    """The OOD threshold (see `ood_threshold`), from features.

    Args:
        features: of plain views, float (n, channels).
        corrupted: of views of the same slices that belong to the reference too, and whose own
            distances do not count, float (n, channels).
        groups: int (n,).
    """
    everything = np.ones(len(features), bool)
    return ood_threshold(out_of_fold_distances(features, corrupted, groups, everything), groups)


def ood_threshold(distances: np.ndarray, groups: np.ndarray) -> float | None:
    """The distance that a fraction `OOD_RATE` of unseen slices like these exceeds.

    None where it can't be estimated: a single group can't be split, and to a reference of few
    slices all others would seem far, so that the threshold would be too high.

    Args:
        distances: of `out_of_fold_distances`, with references fitted to all slices, float (n,).
        groups: int (n,).
    """
    count = min(_FOLDS, len(np.unique(groups)))
    if count < 2:
        return None
    folds = list(GroupKFold(count).split(distances, groups=groups))
    if min(len(fitted) for fitted, _ in folds) < max(2, _MIN_FIT_FRACTION * len(distances)):
        return None
    return float(np.quantile(distances, 1 - OOD_RATE))


def out_of_fold_distances(
    features: np.ndarray, corrupted: np.ndarray, groups: np.ndarray, learned: np.ndarray
) -> np.ndarray:
    """Mahalanobis distances of slices from slices of other groups, float (n,), by five folds.

    Infinite where fewer than two slices are left to compare with, as in a single group.

    Args:
        features: of plain views, float (n, channels).
        corrupted: of corrupted views of the same slices, which belong to references too.
        groups: int (n,).
        learned: which slices references are fitted to, bool (n,).
    """
    distances = np.full(len(features), np.inf)
    count = min(_FOLDS, len(np.unique(groups)))
    if count < 2:
        return distances
    for rest, held_out in GroupKFold(count).split(features, groups=groups):
        fitted = rest[learned[rest]]
        if len(fitted) > 1:
            reference = fit_mahalanobis(np.concatenate([features[fitted], corrupted[fitted]]))
            distances[held_out] = reference.distances(features[held_out])
    return distances
