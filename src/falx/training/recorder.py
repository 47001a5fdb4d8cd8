"""What is recorded and reported during a training."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from falx.errors import UnusableTraining
from falx.progress import Listener, Progress
from falx.recipe import Plateau, Recipe
from falx.training import checkpoint
from falx.training.batches import ShuffledBatches
from falx.training.checkpoint import TrainingState, WeightArrays
from falx.training.schedule import total_epochs

logger = logging.getLogger(__name__)
METRICS = ("loss", "accuracy", "auc")
CHECKPOINT_SECONDS = 30.0
"""Minimum time between checkpoints: writing all variables takes longer than some epochs."""


class Checkpointer:
    """The state and best weights of a training, and when they were last written to disk."""

    def __init__(
        self, state: TrainingState, best: WeightArrays | None, folder: Path | None
    ) -> None:
        self.state = state
        self.best = best
        self.folder = folder
        self._saved_at = time.monotonic()

    def record(
        self,
        network: keras.Model,
        phase: str,
        values: Mapping[str, float],
        *,
        learning_rate: float,
        seconds: float,
    ) -> dict[str, Any]:
        """Append an epoch to the history; keep its weights if its validation loss is the lowest.

        Args:
            values: `METRICS`, and the same with the prefix `val_`.

        Raises:
            UnusableTraining: a loss is not finite.
        """
        history = self.state.history
        if not math.isfinite(values["loss"] + values["val_loss"]):
            raise UnusableTraining(
                f"The loss of epoch {len(history) + 1} is not a finite number; train with a lower "
                "learning rate (--set phases.0.learning_rate=...) or clip gradients (--set "
                "optimizer.clip_norm=1)."
            )
        if values["val_loss"] < min((row["val_loss"] for row in history), default=float("inf")):
            self.best = network.get_weights()
        entry = {
            "epoch": len(history) + 1,
            "phase": phase,
            **{name: values[name] for name in METRICS},
            **{f"val_{name}": values[f"val_{name}"] for name in METRICS},
            "learning_rate": learning_rate,
            "seconds": round(seconds, 3),
        }
        history.append(entry)
        logger.info("epoch %(epoch)d (%(phase)s): loss %(loss).4f, val_loss %(val_loss).4f", entry)
        return entry

    def save(self, network: keras.Model, optimizer: Any) -> None:
        """Write a checkpoint if `CHECKPOINT_SECONDS` have passed since the last one."""
        if self.folder and time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS:
            checkpoint.save(self.folder, network, optimizer, self.state, self.best)
            self._saved_at = time.monotonic()


class Recorder(keras.callbacks.Callback):
    """Records each epoch, writes checkpoints, and reports progress."""

    def __init__(
        self,
        recipe: Recipe,
        network: keras.Model,
        checkpointer: Checkpointer,
        batches: ShuffledBatches,
        plateau: keras.callbacks.ReduceLROnPlateau | None,
        listener: Listener,
        *,
        earlier_epochs: int,
    ) -> None:
        """Prepare to record one phase.

        Args:
            earlier_epochs: number of epochs of earlier phases.
        """
        super().__init__()
        self.recipe = recipe
        self.network = network
        self.checkpointer = checkpointer
        self.state = checkpointer.state
        self.batches = batches
        self.plateau = plateau
        self.listener = listener
        self.earlier_epochs = earlier_epochs
        self.epochs = total_epochs(recipe)
        self.started = 0.0
        self.learning_rate = 0.0

    @property
    def epochs_done(self) -> int:
        """Completed epochs of all phases."""
        return self.earlier_epochs + self.state.epochs_done

    def on_train_begin(self, _logs: Mapping[str, float] | None = None) -> None:
        self._report(0, "building the graph")
        if self.plateau:
            # Keras resets the callback at the start of training; a resumed one continues.
            for name, value in self.state.plateau.items():
                setattr(self.plateau, name, value)

    def on_epoch_begin(self, _epoch: int, _logs: Mapping[str, float] | None = None) -> None:
        self.batches.epoch = self.epochs_done + 1
        self.started = time.perf_counter()
        self.learning_rate = float(self.model.optimizer.learning_rate)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._report(batch + 1, self._detail(logs or {}, epoch=self.epochs_done + 1))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        self.checkpointer.record(
            self.network,
            self.recipe.phases[self.state.phase].name,
            values,
            learning_rate=self.learning_rate,
            seconds=time.perf_counter() - self.started,
        )
        self.state.epochs_done = epoch + 1
        if self.plateau:
            names = ("best", "wait", "cooldown_counter")
            self.state.plateau = {name: getattr(self.plateau, name) for name in names}
        self.checkpointer.save(self.network, self.model.optimizer)
        self._report(0, self._detail(values, epoch=self.epochs_done))

    def _report(self, done: int, detail: str) -> None:
        """Report the completed steps of all phases.

        Args:
            done: steps of the current epoch.
        """
        steps = self.params["steps"]
        self.listener(
            Progress("Training", self.epochs_done * steps + done, self.epochs * steps, detail)
        )

    def _detail(self, logs: Mapping[str, float], *, epoch: int) -> str:
        phase = self.recipe.phases[self.state.phase].name
        parts = [f"{phase} {epoch}/{self.epochs}"]
        parts += [f"{name} {float(logs[name]):.3f}" for name in METRICS if name in logs]
        if self.state.history:
            parts.append(f"validation loss {self.state.history[-1]['val_loss']:.3f}")
        return "  ".join(parts)


def reduce_on_plateau(plateau: Plateau) -> keras.callbacks.ReduceLROnPlateau:
    """The learning rate schedule of a recipe."""
    return keras.callbacks.ReduceLROnPlateau(
        "val_loss",
        factor=plateau.factor,
        patience=plateau.patience,
        min_lr=plateau.min_learning_rate,
    )
