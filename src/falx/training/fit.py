"""Training by Keras: from a recipe and a split to weights, phase by phase."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pandas as pd

from falx.detect.finding import class_probabilities
from falx.detect.rules import Rules
from falx.exporting.detector_folder import export_detector
from falx.model.exportable import ExportableModel
from falx.model.mahalanobis import ood_feature_network
from falx.model.network import (
    backbone_of,
    build_network,
    reinitialize_head,
    scale_logits,
    set_trainable,
)
from falx.model.reference import MahalanobisReference
from falx.progress import Listener, silent
from falx.recipe import Precision, Recipe
from falx.training import checkpoint
from falx.training.bank import FeatureSource
from falx.training.bank_pool import BankPool
from falx.training.batches import SequentialBatches
from falx.training.checkpoint import TrainingState, WeightArrays
from falx.training.disk_cache import DiskCache
from falx.training.phase import LabeledRows, Training, train_phase
from falx.training.recorder import Checkpointer
from falx.training.schedule import (
    backbone_trained_before,
    last_phase,
    phase_views,
    total_epochs,
)
from falx.training.stage import Stage
from falx.training.targets import encode_targets
from falx.training.views import FLIPPED, PLAIN, Views


class KerasTrainer:
    """Trainings of one recipe on one set of slices; each is determined by its split and seed.

    Networks are compiled once and reset for each training. The frozen layers of a phase run once
    over the views, into a feature bank (see falx.training.bank), and the other layers are trained
    on its features.
    """

    def __init__(
        self,
        recipe: Recipe,
        views: Views,
        labels: np.ndarray,
        classes: int,
        sources: np.ndarray,
        *,
        weights: Path | None,
        cache: DiskCache,
        precision: Precision = "fp32",
        listener: Listener = silent,
    ) -> None:
        """Keep what all trainings share.

        Args:
            views: of all slices; splits are rows of them.
            labels: class codes, int (n,).
            classes: number of classes.
            sources: source of each slice, int (n,).
            weights: file of backbone weights, or None for random initialization.
            cache: of feature banks.
            precision: arithmetic of the convolutions.
        """
        self.recipe = recipe
        self.views = views
        self.labels = labels
        self.targets = encode_targets(labels, classes)
        self.classes = classes
        self.sources = sources
        self.weights = weights
        self.cache = cache
        self.precision = precision
        self.listener = listener
        self.banks = BankPool(
            views, cache, precision=precision, view_count=1 + total_epochs(recipe)
        )
        self._network: keras.Model | None = None
        self._backbone_weights: WeightArrays = []
        self._stages: dict[int, Stage] = {}

    @property
    def network(self) -> keras.Model:
        """The whole network, with the weights of the last training."""
        if self._network is None:
            raise ValueError("`train` must be called first.")
        return self._network

    def train(
        self,
        train: np.ndarray,
        validation: np.ndarray,
        *,
        seed: int,
        folder: Path | None = None,
        tensorboard: Path | None = None,
    ) -> pd.DataFrame:
        """Train the network; see falx.training.trainer.Trainer."""
        self._reset(seed)
        state = (checkpoint.load_state(folder) if folder else None) or TrainingState()
        best = checkpoint.load_best(folder) if folder and state.history else None
        if folder and state.history:
            checkpoint.restore_network(folder, self.network)
        checkpointer = Checkpointer(state, best, folder)
        training = Training(
            self._labeled(train), self._labeled(validation), seed, checkpointer, tensorboard
        )
        for index, phase in enumerate(self.recipe.phases):
            if index < state.phase or not phase.epochs:
                continue
            if index > state.phase:
                state.phase, state.epochs_done, state.plateau = index, 0, {}
            if state.epochs_done < phase.epochs:
                stage = self._stage(index)
                # Layers are as the last phase of the previous training left them.
                set_trainable(self.network, self.recipe, phase)
                source = self._source(index)
                train_phase(self.recipe, self.network, stage, source, training, self.listener)
        if self.recipe.keep == "best" and checkpointer.best is not None:
            self.network.set_weights(checkpointer.best)
        return state.history_table()

    @property
    def parameters(self) -> int:
        """Number of parameters of the network."""
        return self.network.count_params()

    def untrained_features(self, *, seed: int) -> np.ndarray:
        """Features (n, channels) of all plain views by the network before any training."""
        self._reset(seed)
        return self.ood_features(np.arange(len(self.views)))

    def prepare(self, rows: np.ndarray, *, seed: int) -> None:
        """Fill the feature banks with all views of some rows, before trainings need them.

        Only of phases whose trunk no earlier phase has trained.
        """
        self._reset(seed)
        for index, phase in enumerate(self.recipe.phases):
            if not phase.epochs:
                continue
            views = phase_views(self.recipe, index)
            self._source(index).prepare({PLAIN: rows} | dict.fromkeys(views, rows), self.listener)
            if phase.unfreeze_from != "head":
                break

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Class probabilities float64 (rows, classes) by the last training.

        Of plain views, with test-time augmentation if the recipe says so.
        """
        last = last_phase(self.recipe)
        source, tail = self._source(last), self._stage(last).tail
        logits = []
        for view in (PLAIN, FLIPPED) if self.recipe.flip_tta else (PLAIN,):
            source.prepare({view: rows}, self.listener)
            batches = SequentialBatches(
                source, rows, self.targets[rows], batch_size=self.recipe.batch_size, view=view
            )
            logits.append(tail.predict(batches, verbose=0))
        return class_probabilities(np.mean(logits, axis=0))

    def ood_features(self, rows: np.ndarray, view: int = PLAIN) -> np.ndarray:
        """Features (rows, channels) of the Mahalanobis distance, by the last training.

        In float32 arithmetic whatever the precision of the training, as detectors compute them.

        Args:
            rows: int (rows,).
            view: index of the views.
        """
        banks = BankPool(self.views, self.cache, precision="fp32", view_count=1)
        source = banks.source(ood_feature_network(self.network))
        source.prepare({view: np.arange(len(self.views))}, self.listener)
        features = source.take(view, rows)
        banks.close()
        return features

    def export(
        self,
        folder: Path,
        *,
        classes: tuple[str, ...],
        rules: Rules,
        reference: MahalanobisReference,
        parity_rows: np.ndarray,
    ) -> None:
        """Write the last training; see falx.training.trainer.Trainer."""
        scale_logits(self.network, rules.temperature)
        export_detector(
            ExportableModel(self.network, reference, self.recipe.flip_tta),
            folder,
            recipe=self.recipe,
            classes=classes,
            rules=rules,
            parity_views=self.views.plain[parity_rows],
        )

    def _reset(self, seed: int) -> None:
        """Set the network to the initial weights of a seed."""
        self.banks.close_unshared()
        if self._network is not None and self.weights is not None:
            backbone_of(self._network).set_weights(self._backbone_weights)
            reinitialize_head(self._network, self.recipe, seed=seed)
            return
        # Free the memory of earlier networks, and restart the numbering of layer names.
        keras.utils.clear_session()
        self._stages.clear()
        self.banks.close()
        file = str(self.weights) if self.weights else None
        self._network = build_network(self.recipe, self.classes, file, seed=seed)
        self._backbone_weights = backbone_of(self._network).get_weights()

    def _labeled(self, rows: np.ndarray) -> LabeledRows:
        return LabeledRows(rows, self.labels[rows], self.targets[rows], self.sources[rows])

    def _stage(self, index: int) -> Stage:
        """The stage of a phase, compiled when it is first needed."""
        if index not in self._stages:
            self._stages[index] = Stage(
                self.network, self.recipe, self.recipe.phases[index], self.classes, self.precision
            )
        return self._stages[index]

    def _source(self, index: int) -> FeatureSource:
        """The inputs of a phase's tail."""
        shared = not backbone_trained_before(self.recipe, index)
        return self.banks.source(self._stage(index).trunk, shared=shared)
