"""What Keras' `fit` takes: batches of inputs, targets and weights of slices in the loss."""

from __future__ import annotations

import keras
import numpy as np

from falx.training.bank import FeatureSource
from falx.training.targets import epoch_order
from falx.training.views import PLAIN


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of one view of each slice in random order, determined by seed and epoch.

    Set `epoch`, counted from 1, before each epoch: it is also the index of the view. With weights,
    float (rows,), each batch holds those of its slices.
    """

    def __init__(
        self,
        source: FeatureSource,
        rows: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        batch_size: int,
        seed: int,
        epoch: int = 1,
    ) -> None:
        super().__init__()
        self.source = source
        self.rows = rows
        self.targets = targets
        self.weights = weights
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        order = epoch_order(len(self.rows), seed=self.seed, epoch=self.epoch)
        batch = order[index * self.batch_size : (index + 1) * self.batch_size]
        inputs = self.source.take(self.epoch, self.rows[batch])
        if self.weights is None:
            return inputs, self.targets[batch]
        return inputs, self.targets[batch], self.weights[batch].astype(np.float32)


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
