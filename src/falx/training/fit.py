"""From a network, a recipe and examples to trained weights, phase by phase."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from falx.errors import UnusableTraining
from falx.model.network import set_trainable
from falx.progress import Listener, Progress, silent
from falx.recipe import Optimizer, Phase, Plateau, Recipe
from falx.training import checkpoint
from falx.training.checkpoint import State
from falx.training.views import Examples, PlainViews, TrainingViews

logger = logging.getLogger(__name__)
METRICS = ("loss", "accuracy", "auc")


def fit(
    network: keras.Model,
    recipe: Recipe,
    train: Examples,
    validation: Examples,
    *,
    classes: int,
    seed: int,
    folder: Path,
    tensorboard: Path | None = None,
    listener: Listener = silent,
) -> pd.DataFrame:
    """Train a network in place, from the last checkpoint in `folder` if there is one.

    Args:
        network: as `build_network` made it.
        classes: how many.
        folder: where checkpoints are kept.
        tensorboard: folder for TensorBoard's logs, or None.

    Returns:
        One row an epoch: epoch (from 1), phase, loss, accuracy, auc, the same with `val_` on the
        validation examples, learning_rate, seconds, and best: whether it had the lowest
        validation loss.
    """
    state = checkpoint.load_state(folder) or State()
    weights = class_weights(train.labels, classes) if recipe.class_weights == "balanced" else None
    for number, phase in enumerate(recipe.phases):
        if number < state.phase:
            continue
        set_trainable(network, recipe, phase)
        _compile(network, recipe.optimizer, phase, classes)
        if number == state.phase and state.epochs_done:
            checkpoint.restore(folder, network)
        elif number > state.phase:
            state.phase, state.epochs_done, state.plateau = number, 0, {}
        views = TrainingViews(
            train,
            classes,
            recipe.augmentation,
            batch=recipe.batch,
            seed=seed,
        )
        plateau = _schedule(recipe.plateau)
        recorder = _Recorder(recipe, state, views, plateau, folder, listener)
        logs = [keras.callbacks.TensorBoard(tensorboard / phase.name)] if tensorboard else []
        network.fit(
            views,
            validation_data=PlainViews(validation, classes, batch=recipe.batch),
            initial_epoch=state.epochs_done,
            epochs=phase.epochs,
            class_weight=weights,
            shuffle=False,
            verbose=0,
            callbacks=[*([plateau] if plateau else []), recorder, *logs],
        )
    if recipe.keep == "best":
        checkpoint.restore_best(folder, network)
    return _history(state)


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
    network.compile(_optimizer(optimizer, phase.learning_rate), loss, metrics=[accuracy, auc])


def _optimizer(optimizer: Optimizer, rate: float) -> keras.optimizers.Optimizer:
    common = {"clipnorm": optimizer.clip_norm, "weight_decay": optimizer.weight_decay or None}
    match optimizer.name:
        case "adam":
            return keras.optimizers.Adam(rate, **common)
        case "adamw":
            return keras.optimizers.AdamW(
                rate, clipnorm=optimizer.clip_norm, weight_decay=optimizer.weight_decay
            )
        case "sgd":
            return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **common)


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


class _Recorder(keras.callbacks.Callback):
    """Tells the listener, keeps the history, and writes a checkpoint after each epoch."""

    def __init__(
        self,
        recipe: Recipe,
        state: State,
        views: TrainingViews,
        plateau: keras.callbacks.ReduceLROnPlateau | None,
        folder: Path,
        listener: Listener,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.state = state
        self.views = views
        self.plateau = plateau
        self.folder = folder
        self.listener = listener
        self.epochs = sum(phase.epochs for phase in recipe.phases)
        self.started = 0.0
        self.rate = 0.0

    def on_train_begin(self, _logs: Mapping[str, float] | None = None) -> None:
        self._tell(0, "building the graph")
        if self.plateau:
            # Keras resets the schedule when training begins; a resumed one goes on.
            for name, value in self.state.plateau.items():
                setattr(self.plateau, name, value)

    def on_epoch_begin(self, _epoch: int, _logs: Mapping[str, float] | None = None) -> None:
        self.views.epoch = len(self.state.history) + 1
        self.started = time.perf_counter()
        self.rate = float(self.model.optimizer.learning_rate)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._tell(batch + 1, self._remark(logs or {}))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        if not math.isfinite(values["loss"] + values["val_loss"]):
            raise UnusableTraining(
                f"The loss of epoch {len(self.state.history) + 1} is not a number any more; train "
                "with a lower learning rate (--set phases.0.learning_rate=...) or clip gradients "
                "(--set optimizer.clip_norm=1)."
            )
        losses = [entry["val_loss"] for entry in self.state.history]
        entry = self._entry(values)
        self.state.history.append(entry)
        logger.info("epoch %(epoch)d (%(phase)s): loss %(loss).4f, val_loss %(val_loss).4f", entry)
        if values["val_loss"] < min(losses, default=float("inf")):
            checkpoint.save_best(self.folder, self.model)
        self.state.epochs_done = epoch + 1
        if self.plateau:
            names = ("best", "wait", "cooldown_counter")
            self.state.plateau = {name: getattr(self.plateau, name) for name in names}
        checkpoint.save(self.folder, self.model, self.state)

    def _tell(self, done: int, remark: str) -> None:
        """Tell the listener of the steps done, `done` of them in the epoch under way."""
        steps = self.params["steps"]
        before = len(self.state.history) * steps
        self.listener(Progress("Training", before + done, self.epochs * steps, remark))

    def _entry(self, values: Mapping[str, float]) -> dict[str, Any]:
        return {
            "epoch": len(self.state.history) + 1,
            "phase": self.recipe.phases[self.state.phase].name,
            **{name: values[name] for name in METRICS},
            **{f"val_{name}": values[f"val_{name}"] for name in METRICS},
            "learning_rate": self.rate,
            "seconds": round(time.perf_counter() - self.started, 3),
        }

    def _remark(self, logs: Mapping[str, float]) -> str:
        phase = self.recipe.phases[self.state.phase].name
        parts = [f"{phase} {len(self.state.history) + 1}/{self.epochs}"]
        parts += [f"{name} {float(logs[name]):.3f}" for name in METRICS if name in logs]
        if self.state.history:
            parts.append(f"validation loss {self.state.history[-1]['val_loss']:.3f}")
        return "  ".join(parts)
