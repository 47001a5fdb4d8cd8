"""What the network is fed: plain views once, augmented views anew each epoch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np

from falx.data.catalog import Catalog
from falx.data.read import read_slices
from falx.errors import BadInput
from falx.image import augment
from falx.image.render import render
from falx.model.network import network_input
from falx.progress import Listener, Progress, silent
from falx.recipe import Augmentation, Rendering


@dataclass(frozen=True)
class Examples:
    """Plain views and their labels.

    Attributes:
        views: uint8 (n, size, size).
        labels: class codes, int64 (n,).
    """

    views: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Examples:
        """Some of them, in that order."""
        return Examples(self.views[rows], self.labels[rows])


def render_examples(
    catalog: Catalog, rendering: Rendering, *, listener: Listener = silent
) -> Examples:
    """The plain view of every row of a catalog without problems, in order.

    Raises:
        BadInput: a file has changed since it was cataloged.
    """
    files = catalog.table.groupby("path", sort=False).indices
    numbers = catalog.table["index"].to_numpy(np.int64)
    views = np.empty((len(catalog), rendering.size, rendering.size), np.uint8)

    def fill(rows: np.ndarray) -> None:
        slices = {slice_.index: slice_ for slice_ in read_slices(catalog.file(rows[0]))}
        for row in rows:
            index = int(numbers[row])
            if index not in slices:
                raise BadInput(f"'{catalog.file(row)}' changed while falx was using it; run again.")
            views[row] = render(slices[index].pixels, rendering)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(fill, files.values()), start=1):
            listener(Progress("Rendering", done, len(files)))
    return Examples(views, catalog.labels)


def training_view(
    view: np.ndarray, ranges: Augmentation, *, seed: int, epoch: int, row: int
) -> np.ndarray:
    """The view of one row in one epoch; the same numbers give the same view.

    Args:
        view: plain view, uint8 (size, size).
    """
    generator = np.random.default_rng((seed, epoch, row))
    return augment.apply(augment.draw(generator, ranges), view)


def epoch_order(n: int, *, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch goes through n rows: int (n,)."""
    return np.random.default_rng((seed, epoch)).permutation(n)


class TrainingViews(keras.utils.PyDataset):
    """Batches of fresh views, shuffled; a function of seed and epoch alone.

    Whoever trains sets `epoch`, counted from 1, before each.

    A batch is float32 (batch, size, size, 1) grey levels in [0, 255], and targets as
    `targets` makes them.
    """

    def __init__(
        self,
        examples: Examples,
        classes: int,
        ranges: Augmentation,
        *,
        batch: int,
        seed: int,
        epoch: int = 1,
    ) -> None:
        super().__init__()
        self.examples = examples
        self.targets = targets(examples.labels, classes)
        self.ranges = ranges
        self.batch = batch
        self.seed = seed
        self.epoch = epoch
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        order = epoch_order(len(self.examples), seed=self.seed, epoch=self.epoch)
        rows = order[index * self.batch : (index + 1) * self.batch]
        views = np.stack(list(self._pool.map(self._view, rows)))
        return network_input(views), self.targets[rows]

    def _view(self, row: int) -> np.ndarray:
        view = self.examples.views[row]
        return training_view(view, self.ranges, seed=self.seed, epoch=self.epoch, row=int(row))


class PlainViews(keras.utils.PyDataset):
    """Batches of plain views in order, converted a batch at a time so that memory stays flat."""

    def __init__(self, examples: Examples, classes: int, *, batch: int) -> None:
        super().__init__()
        self.examples = examples
        self.targets = targets(examples.labels, classes)
        self.batch = batch

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(index * self.batch, (index + 1) * self.batch)
        return network_input(self.examples.views[rows]), self.targets[rows]


def targets(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels for the loss: float32 (n, 1) for two classes, one-hot (n, classes) for more."""
    if classes == 2:
        return labels[:, None].astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]
