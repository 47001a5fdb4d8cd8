"""What a training is fed: the order of its slices, targets of the loss, and class weights."""

from __future__ import annotations

import numpy as np
from sklearn.utils.class_weight import compute_class_weight


def epoch_order(n: int, *, seed: int, epoch: int) -> np.ndarray:
    """The order of n rows in an epoch: int (n,)."""
    return np.random.default_rng((seed, epoch)).permutation(n)


def encode_targets(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels for the loss: float32 (n, 1) for two classes, one-hot (n, classes) for more."""
    if classes == 2:
        return labels[:, None].astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]


def balanced_class_weights(labels: np.ndarray, classes: int) -> dict[int, float]:
    """Weight of each class in the loss: n / (classes x rows of the class).

    Raises:
        ValueError: a class has no rows.
    """
    weights = compute_class_weight("balanced", classes=np.arange(classes), y=labels)
    return dict(enumerate(weights.tolist()))


def balanced_weights(labels: np.ndarray, sources: np.ndarray, classes: int) -> np.ndarray:
    """Weight of each row in the loss, so that classes count equally, and in each class its sources.

    n / (classes x sources that have the class x rows of the class in the source). Where every
    source has every class, all of their cells have the same total weight; of one source, it is
    `balanced_class_weights`.

    Args:
        labels: class codes, int (n,).
        sources: source of each row, int (n,).

    Returns:
        float64 (n,).

    Raises:
        ValueError: a class has no rows.
    """
    cells = np.zeros((int(sources.max()) + 1, classes), np.int64)
    np.add.at(cells, (sources, labels), 1)
    sources_of = (cells > 0).sum(axis=0)
    if not sources_of.all():
        raise ValueError(f"Class {int(sources_of.argmin())} has no rows.")
    weights: np.ndarray = len(labels) / (classes * sources_of[labels] * cells[sources, labels])
    return weights
