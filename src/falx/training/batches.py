"""What Keras' `fit` takes: batches of inputs and targets, and class weights."""

from __future__ import annotations

import keras
import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from falx.training.bank import FeatureSource
from falx.training.views import PLAIN


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


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of one view of each slice in random order, determined by seed and epoch.

    Set `epoch`, counted from 1, before each epoch: it is also the index of the view.
    """

    def __init__(
        self,
        source: FeatureSource,
        rows: np.ndarray,
        targets: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        epoch: int = 1,
    ) -> None:
        super().__init__()
        self.source = source
        self.rows = rows
        self.targets = targets
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        order = epoch_order(len(self.rows), seed=self.seed, epoch=self.epoch)
        batch = order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.source.take(self.epoch, self.rows[batch]), self.targets[batch]


class SequentialBatches(keras.utils.PyDataset):
    """Batches of one view of each slice in order; of the plain view by default."""

    def __init__(
        self,
        source: FeatureSource,
        rows: np.ndarray,
        targets: np.ndarray,
        *,
        batch_size: int,
        view: int = PLAIN,
    ) -> None:
        super().__init__()
        self.source = source
        self.rows = rows
        self.targets = targets
        self.batch_size = batch_size
        self.view = view

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.source.take(self.view, self.rows[batch]), self.targets[batch]
