"""Batches of inputs and targets, as Keras takes them."""

from __future__ import annotations

import keras
import numpy as np

from falx.training.bank import Source
from falx.training.views import PLAIN


def epoch_order(n: int, *, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch goes through n rows: int (n,)."""
    return np.random.default_rng((seed, epoch)).permutation(n)


def targets(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels for the loss: float32 (n, 1) for two classes, one-hot (n, classes) for more."""
    if classes == 2:
        return labels[:, None].astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]


class TrainingBatches(keras.utils.PyDataset):
    """Batches of one view of each slice, shuffled; a function of seed and epoch alone.

    Whoever trains sets `epoch`, counted from 1, before each: its number is that of the view.
    """

    def __init__(
        self,
        source: Source,
        rows: np.ndarray,
        targets: np.ndarray,
        *,
        batch: int,
        seed: int,
        epoch: int = 1,
    ) -> None:
        super().__init__()
        self.source = source
        self.rows = rows
        self.targets = targets
        self.batch = batch
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        order = epoch_order(len(self.rows), seed=self.seed, epoch=self.epoch)
        some = order[index * self.batch : (index + 1) * self.batch]
        return self.source.take(self.epoch, self.rows[some]), self.targets[some]


class PlainBatches(keras.utils.PyDataset):
    """Batches of one view of slices, in order; the plain one where nothing else is asked for."""

    def __init__(
        self,
        source: Source,
        rows: np.ndarray,
        targets: np.ndarray,
        *,
        batch: int,
        number: int = PLAIN,
    ) -> None:
        super().__init__()
        self.source = source
        self.rows = rows
        self.targets = targets
        self.batch = batch
        self.number = number

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        some = slice(index * self.batch, (index + 1) * self.batch)
        return self.source.take(self.number, self.rows[some]), self.targets[some]
