"""From a recipe and a split to trained weights, phase by phase."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from falx.detect.finding import class_probabilities
from falx.model.network import (
    Parts,
    backbone_of,
    build_network,
    part_network,
    renew_head,
    set_trainable,
)
from falx.model.reference import reference_network
from falx.progress import Listener, Progress, silent
from falx.recipe import Optimizer, Phase, Plateau, Precision, Recipe
from falx.training import checkpoint
from falx.training.bank import FeatureBank, PlainSource, Source
from falx.training.batches import PlainBatches, TrainingBatches, targets
from falx.training.checkpoint import State, Weights
from falx.training.logistic import fit_logistic
from falx.training.optimizers import make_optimizer
from falx.training.recorder import Memory, Recorder
from falx.training.shelf import Shelf
from falx.training.trunk import compile_trunk, trunk_digest
from falx.training.views import MIRRORED, PLAIN, Views

logger = logging.getLogger(__name__)


class Trainer:
    """The trainings of one recipe on one set of slices; each is a function of split and seed.

    Networks are compiled once and begun anew for each training. What a phase keeps frozen runs
    once over the views, into the feature bank (see falx.training.bank), and the rest is trained
    from there.
    """

    def __init__(
        self,
        recipe: Recipe,
        views: Views,
        labels: np.ndarray,
        classes: int,
        *,
        weights: Path | None,
        shelf: Shelf,
        precision: Precision = "fp32",
        listener: Listener = silent,
    ) -> None:
        """Remember what all trainings share.

        Args:
            views: of all slices; splits name rows of them.
            labels: class code of each, int (n,).
            classes: how many.
            weights: file of backbone weights, or None for random initialization.
            shelf: where banks are kept.
            precision: of the trunk's arithmetic.
        """
        self.recipe = recipe
        self.views = views
        self.labels = labels
        self.targets = targets(labels, classes)
        self.classes = classes
        self.weights = weights
        self.shelf = shelf
        self.precision = precision
        self.listener = listener
        self._network: keras.Model | None = None
        self._pretrained: Weights = []
        self._stages: dict[int, _Stage] = {}
        self._banks: dict[str, FeatureBank] = {}
        self._passing: set[str] = set()
        """Banks of trunks that an earlier phase has trained, which no other training shares."""

    @property
    def network(self) -> keras.Model:
        """The whole network, as the last training left it."""
        if self._network is None:
            raise ValueError("Nothing was trained yet.")
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
        """Train the network on some rows, from the last checkpoint in `folder` if there is one.

        Args:
            train, validation: rows of the views, int (rows,).
            folder: where checkpoints are kept, or None for none.
            tensorboard: folder for TensorBoard's logs, or None.

        Returns:
            One row an epoch: epoch (from 1), phase, loss, accuracy, auc, the same with `val_` on
            the validation rows, learning_rate, seconds, and best: whether it had the lowest
            validation loss.
        """
        self._begin(seed)
        state = (checkpoint.load_state(folder) if folder else None) or State()
        best = checkpoint.load_best(folder) if folder and state.history else None
        progress = Memory(state, best, folder)
        if folder and state.history:
            checkpoint.restore_network(folder, self.network)
        for number, phase in enumerate(self.recipe.phases):
            if number < state.phase or not phase.epochs:
                continue
            if number > state.phase:
                state.phase, state.epochs_done, state.plateau = number, 0, {}
            if state.epochs_done < phase.epochs:
                self._train_phase(phase, progress, train, validation, seed, tensorboard)
        if self.recipe.keep == "best" and progress.best is not None:
            self.network.set_weights(progress.best)
        return _history(state)

    def prepare(self, rows: np.ndarray, *, seed: int) -> None:
        """Fill the feature bank with all views of some rows, ahead of trainings that need them.

        Of all phases whose frozen part no earlier phase has trained.
        """
        self._begin(seed)
        for number, phase in enumerate(self.recipe.phases):
            if not phase.epochs:
                continue
            numbers = self._view_numbers(number, done=0)
            source = self._source(number)
            source.prepare({PLAIN: rows} | dict.fromkeys(numbers, rows), self.listener)
            if phase.train_from != "head":
                break

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Class probabilities float64 (rows, classes), by the last training.

        Of plain views, or as the recipe says of them and their mirror images.
        """
        last = max(number for number, phase in enumerate(self.recipe.phases) if phase.epochs)
        source, rest = self._source(last), self._stage(last).parts.rest
        logits = []
        for number in (PLAIN, MIRRORED) if self.recipe.mirrored else (PLAIN,):
            source.prepare({number: rows}, self.listener)
            batches = PlainBatches(
                source, rows, self.targets[rows], batch=self.recipe.batch, number=number
            )
            logits.append(rest.predict(batches, verbose=0))
        return class_probabilities(np.mean(logits, axis=0))

    def reference_features(self, rows: np.ndarray) -> np.ndarray:
        """What distances are measured by, of plain views, by the last training: (rows, channels).

        In float32 arithmetic whatever the training's, as detectors compute it.
        """
        network = reference_network(self.network)
        digest = trunk_digest(network, "fp32")
        trunk = compile_trunk(network, digest, self.shelf)
        bank = FeatureBank(self.views, trunk, self.shelf, numbers=1)
        bank.prepare({PLAIN: np.arange(len(self.views))}, self.listener)
        features = bank.take(PLAIN, rows)
        bank.close()
        return features

    def _begin(self, seed: int) -> None:
        """Give the network the weights that a seed starts from."""
        for digest in self._passing:
            self._banks.pop(digest).close()
        self._passing.clear()
        if self._network is not None and self.weights is not None:
            backbone_of(self._network).set_weights(self._pretrained)
            renew_head(self._network, self.recipe, seed=seed)
            return
        # What an earlier training of this process left would fill memory and number layers on.
        keras.utils.clear_session()
        self._stages.clear()
        for bank in self._banks.values():
            bank.close()
        self._banks.clear()
        file = str(self.weights) if self.weights else None
        self._network = build_network(self.recipe, self.classes, file, seed=seed)
        self._pretrained = backbone_of(self._network).get_weights()

    def _train_phase(
        self,
        phase: Phase,
        memory: Memory,
        train: np.ndarray,
        validation: np.ndarray,
        seed: int,
        tensorboard: Path | None,
    ) -> None:
        recipe, state = self.recipe, memory.state
        stage = self._stage(state.phase)
        # Another training may have ended in another phase.
        set_trainable(self.network, recipe, phase)
        source = self._source(state.phase)
        numbers = self._view_numbers(state.phase, done=state.epochs_done)
        source.prepare({PLAIN: validation} | dict.fromkeys(numbers, train), self.listener)
        stage.begin(phase)
        if phase.solver == "logistic":
            self._fit_head(phase, memory, train, validation, source)
            return
        if memory.folder and state.epochs_done:
            checkpoint.restore_optimizer(memory.folder, stage.optimizer)
        batches = TrainingBatches(
            source, train, self.targets[train],
            batch=recipe.batch, seed=seed, epoch=numbers[0],
        )  # fmt: skip
        plateau = _schedule(recipe.plateau)
        recorder = Recorder(
            recipe, self.network, memory, batches, plateau, self.listener,
            before=numbers[0] - 1 - state.epochs_done,
        )  # fmt: skip
        logs = (
            [keras.callbacks.TensorBoard(tensorboard / phase.name, write_graph=False)]
            if tensorboard
            else []
        )
        balanced = recipe.class_weights == "balanced"
        stage.parts.rest.fit(
            batches,
            validation_data=PlainBatches(
                source, validation, self.targets[validation], batch=recipe.batch
            ),
            initial_epoch=state.epochs_done,
            epochs=phase.epochs,
            class_weight=class_weights(self.labels[train], self.classes) if balanced else None,
            shuffle=False,
            verbose=0,
            callbacks=[*([plateau] if plateau else []), recorder, *logs],
        )

    def _fit_head(
        self,
        phase: Phase,
        memory: Memory,
        train: np.ndarray,
        validation: np.ndarray,
        source: Source,
    ) -> None:
        """Fit a linear head at once to all views that the phase looks at."""
        state, rest, started = memory.state, self._stage(memory.state.phase).parts.rest, time.time()
        numbers = self._view_numbers(state.phase, done=0)
        kernel, bias = fit_logistic(
            np.concatenate([source.take(number, train) for number in numbers]),
            np.tile(self.labels[train], len(numbers)),
            views=len(numbers),
            penalty=phase.penalty,
            balanced=self.recipe.class_weights == "balanced",
        )
        self.network.get_layer("logits").set_weights([kernel, bias])
        found = [
            rest.evaluate(
                PlainBatches(
                    source, rows, self.targets[rows], batch=self.recipe.batch, number=number
                ),
                verbose=0,
                return_dict=True,
            )
            for rows, number in ((train, numbers[-1]), (validation, PLAIN))
        ]
        values = found[0] | {f"val_{name}": value for name, value in found[1].items()}
        memory.record(self.network, phase.name, values, rate=0.0, seconds=time.time() - started)
        state.epochs_done = phase.epochs
        memory.keep(self.network, rest.optimizer)
        epochs = sum(each.epochs for each in self.recipe.phases)
        self.listener(Progress("Training", phase.epochs, epochs, phase.name))

    def _view_numbers(self, phase: int, *, done: int) -> range:
        """The views that a phase looks at, one an epoch, from the first epoch that is not done."""
        first = 1 + sum(earlier.epochs for earlier in self.recipe.phases[:phase])
        return range(first + done, first + self.recipe.phases[phase].epochs)

    def _stage(self, number: int) -> _Stage:
        phase = self.recipe.phases[number]
        if number not in self._stages:
            parts = part_network(self.network, self.recipe, phase, self.precision)
            self._stages[number] = _Stage(parts, self.recipe, phase, self.classes)
        return self._stages[number]

    def _source(self, number: int) -> Source:
        parts, phases = self._stage(number).parts, self.recipe.phases
        if parts.trunk is None:
            return PlainSource(self.views)
        digest = trunk_digest(parts.trunk, self.precision)
        if digest not in self._banks:
            trunk = compile_trunk(parts.trunk, digest, self.shelf, self.precision)
            numbers = 1 + sum(phase.epochs for phase in phases)
            self._banks[digest] = FeatureBank(self.views, trunk, self.shelf, numbers)
            if any(phase.epochs and phase.train_from != "head" for phase in phases[:number]):
                self._passing.add(digest)
        return self._banks[digest]


class _Stage:
    """What one phase trains, compiled; begun anew for each training."""

    def __init__(self, parts: Parts, recipe: Recipe, phase: Phase, classes: int) -> None:
        self.parts = parts
        _compile(parts.rest, recipe.optimizer, phase, classes)
        self.optimizer: keras.optimizers.Optimizer = parts.rest.optimizer
        self.optimizer.build(parts.rest.trainable_variables)
        self._fresh = [keras.ops.convert_to_numpy(v) for v in self.optimizer.variables]

    def begin(self, phase: Phase) -> None:
        """Forget what the optimizer remembers of an earlier training."""
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate = phase.learning_rate


def class_weights(labels: np.ndarray, classes: int) -> dict[int, float]:
    """Weights that let every class count the same: rows / (classes x rows of the class)."""
    counts = np.bincount(labels, minlength=classes)
    return {code: float(len(labels) / (classes * count)) for code, count in enumerate(counts)}


def _compile(network: keras.Model, optimizer: Optimizer, phase: Phase, classes: int) -> None:
    metrics = keras.metrics
    if classes == 2:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        accuracy = metrics.BinaryAccuracy(threshold=0.0, name="accuracy")
        auc = metrics.AUC(from_logits=True, name="auc")
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        accuracy = metrics.CategoricalAccuracy(name="accuracy")
        auc = _SoftmaxAUC(multi_label=True, num_labels=classes, name="auc")
    network.compile(make_optimizer(optimizer, phase.learning_rate), loss, metrics=[accuracy, auc])


def _schedule(plateau: Plateau | None) -> keras.callbacks.ReduceLROnPlateau | None:
    if plateau is None:
        return None
    return keras.callbacks.ReduceLROnPlateau(
        "val_loss", factor=plateau.factor, patience=plateau.patience, min_lr=plateau.least_rate
    )


def _history(state: State) -> pd.DataFrame:
    table = pd.DataFrame(state.history)
    return table.assign(best=table.index == table["val_loss"].idxmin())


class _SoftmaxAUC(keras.metrics.AUC):
    """The mean over classes of the AUC against the rest, of softmax probabilities.

    Keras would take a sigmoid of each logit, which ranks slices in another order.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, keras.ops.softmax(y_pred), sample_weight)
