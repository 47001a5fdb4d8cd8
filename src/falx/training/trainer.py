"""What trains a recipe on one set of slices, split after split."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from falx.detect.rules import Rules
from falx.model.reference import MahalanobisReference
from falx.recipe import Recipe
from falx.training.views import PLAIN, Views


class Trainer(Protocol):
    """Trainings of one recipe on one set of slices; each is determined by its split and seed.

    There are two: one by Keras, and one that fits linear heads and needs neither Keras nor
    TensorFlow.

    Attributes:
        recipe: what is trained.
        views: of all slices; splits are rows of them.
    """

    recipe: Recipe
    views: Views

    @property
    def parameters(self) -> int:
        """Number of parameters of the network."""

    def train(
        self,
        train: np.ndarray,
        validation: np.ndarray,
        *,
        seed: int,
        folder: Path | None = None,
        tensorboard: Path | None = None,
    ) -> pd.DataFrame:
        """Train the network, from the last checkpoint in `folder` if there is one.

        Args:
            train, validation: rows of the views, int (rows,).
            folder: of checkpoints, or None for none.
            tensorboard: folder of TensorBoard logs, or None for none.

        Returns:
            One row per epoch: epoch (from 1), phase, loss, accuracy, auc, the same with the prefix
            `val_` on the validation rows, learning_rate, seconds, and best: whether its validation
            loss is the lowest.

        Raises:
            UnusableTraining: a loss is not finite.
        """

    def prepare(self, rows: np.ndarray, *, seed: int) -> None:
        """Compute the features of all views of some rows, before trainings need them."""

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Class probabilities float64 (rows, classes) by the last training.

        Of plain views, with test-time augmentation if the recipe says so.
        """

    def ood_features(self, rows: np.ndarray, view: int = PLAIN) -> np.ndarray:
        """Features (rows, channels) of the Mahalanobis distance, by the last training.

        In float32 arithmetic whatever the precision of the training, as detectors compute them.

        Args:
            rows: int (rows,).
            view: index of the views.
        """

    def untrained_features(self, *, seed: int) -> np.ndarray:
        """Features (n, channels) of all plain views by the network before any training."""

    def export(
        self,
        folder: Path,
        *,
        classes: tuple[str, ...],
        rules: Rules,
        reference: MahalanobisReference,
        parity_rows: np.ndarray,
    ) -> None:
        """Write the last training as a detector folder, with calibrated logits.

        Its network gives calibrated logits from here on; the next training begins anew.

        Args:
            folder: a new one.
            parity_rows: slices on which the detector is compared with the training, int (rows,).

        Raises:
            BrokenRun: they differ.
        """
