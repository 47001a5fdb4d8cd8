"""The reference of a detector, and the distance from which a slice is foreign to it.

Both are of features that no phase of a shipped recipe trains. Where one does, slices that it was
trained on lie closer together than others, and the limit, which is measured on them, is too tight;
a user is told so.
"""

from __future__ import annotations

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import GroupKFold

from falx.model.reference import LAYER, LAYER_NUMBER, Reference
from falx.recipe import Recipe

REFUSED = 0.01
"""Share of slices like those trained on that is held foreign."""

NO_LIMIT = (
    "it can't be told how far unseen slices lie from others, since their groups are too few or one "
    "holds most of them; no slice will be refused as foreign"
)
"""What `familiar_limit` of None means."""

TRAINED = (
    f"The recipe trains layers below {LAYER}, by whose features foreign slices are told. Those of "
    "slices that it was trained on become more alike than those of new ones, so that more than "
    f"{REFUSED:.0%} of new slices like these may be refused; the report says how many were in the "
    "test."
)
"""What is to be said where `trains_reference`."""

_FOLDS = 5
_FITTED = 0.5
"""Least share of the slices that each fold's reference is fitted to."""
_LEAST = 1e-9
"""Of a variance, as a share of that of all features."""


def trains_reference(recipe: Recipe) -> bool:
    """Whether a recipe trains the features that references are made of."""
    return any(
        phase.epochs and phase.train_from != "head" and phase.train_from < LAYER_NUMBER
        for phase in recipe.phases
    )


def fit_reference(features: np.ndarray) -> Reference:
    """Mean and whitening of features (n, channels), n at least 2.

    The covariance is shrunk towards a multiple of the identity (Ledoit and Wolf, J. Multivar. Anal.
    88, 2004), so it can be inverted however few slices there are.
    """
    # Banks hold half precision, in which a sum over many slices overflows.
    features = features.astype(np.float64)
    spread = float(features.std()) or 1.0
    covariance = LedoitWolf().fit(features / spread).covariance_
    # Features that never differ have none to invert.
    covariance += _LEAST * np.eye(len(covariance))
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)) / spread
    return Reference(features.mean(axis=0, dtype=np.float64).astype(np.float32),
                     whitening.astype(np.float32))  # fmt: skip


def familiar_limit(features: np.ndarray, groups: np.ndarray) -> float | None:
    """The distance that `REFUSED` of unseen slices like these exceed.

    Each slice's distance is to the others, none of its own group among them, by five folds. None
    where that can't be told: of one group there are no others, and to a few others all the rest
    would seem far, so that the limit would refuse nothing.

    Args:
        features: float (n, channels).
        groups: int (n,).
    """
    count = min(_FOLDS, len(np.unique(groups)))
    if count < 2:
        return None
    folds = list(GroupKFold(count).split(features, groups=groups))
    if min(len(others) for others, _ in folds) < max(2, _FITTED * len(features)):
        return None
    distances = np.empty(len(features))
    for others, rows in folds:
        distances[rows] = fit_reference(features[others]).distances(features[rows])
    return float(np.quantile(distances, 1 - REFUSED))
