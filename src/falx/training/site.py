"""The site reference of a detector: what the site check compares other slices with.

Every number must be one that a new slice would get. Statistics of views are, since nothing is
fitted to them. Distances are out-of-fold: those of slices from a reference that holds them are too
small. Probabilities are known of validation slices alone.
"""

from __future__ import annotations

import numpy as np

from falx.data.split import Split
from falx.detect.site_reference import Measurements, SiteReference
from falx.training.ood import out_of_fold_distances

MAX_GROUPS = 300
MAX_VALIDATION_GROUPS = 150


def fit_site_reference(
    views: np.ndarray,
    features: np.ndarray,
    corrupted: np.ndarray,
    groups: np.ndarray,
    split: Split,
    learned: np.ndarray,
    probabilities: np.ndarray,
    *,
    seed: int,
) -> SiteReference:
    """Measure one slice of each of some groups of training and validation.

    Args:
        views: plain ones of all slices, uint8 (n, size, size).
        features, corrupted: of the Mahalanobis distance, of plain and of corrupted views, float
            (n, channels).
        groups: int (n,).
        split: rows of these.
        learned: rows that the detector's Mahalanobis reference was fitted to, int (learned,).
        probabilities: calibrated, of the validation rows, float (validation, classes).
        seed: of the choice of groups and slices.
    """
    seen = np.concatenate([split.train, split.validation])
    distances = np.full(len(groups), np.inf)
    distances[seen] = out_of_fold_distances(
        features[seen], corrupted[seen], groups[seen], np.isin(seen, learned)
    )
    return site_reference(views, groups, split, probabilities, distances, seed=seed)


def site_reference(
    views: np.ndarray,
    groups: np.ndarray,
    split: Split,
    probabilities: np.ndarray,
    distances: np.ndarray,
    *,
    seed: int,
) -> SiteReference:
    """What `fit_site_reference` gives, from distances that are known.

    Args:
        distances: of training and validation slices, out of fold, float (n,).
    """
    of_validation = np.full((len(groups), probabilities.shape[1]), np.nan)
    of_validation[split.validation] = probabilities
    rows = _chosen(groups, split, np.random.default_rng(seed))
    return SiteReference(Measurements.of(views[rows], of_validation[rows], distances[rows]))


def _chosen(groups: np.ndarray, split: Split, rng: np.random.Generator) -> np.ndarray:
    """A random slice of each of random groups, int (rows,): of validation first."""
    validation = _one_of_each(groups, split.validation, rng)[:MAX_VALIDATION_GROUPS]
    rest = split.train[~np.isin(groups[split.train], groups[split.validation])]
    training = _one_of_each(groups, rest, rng)[: MAX_GROUPS - len(validation)]
    return np.concatenate([validation, training])


def _one_of_each(groups: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of the rows of every group, drawn at random, and in random order."""
    shuffled = rng.permutation(rows)
    _, first = np.unique(groups[shuffled], return_index=True)
    return rng.permutation(shuffled[first])
