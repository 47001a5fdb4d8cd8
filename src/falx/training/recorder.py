"""What a training remembers of its epochs, and tells whoever listens."""

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
from falx.recipe import Recipe
from falx.training import checkpoint
from falx.training.batches import TrainingBatches
from falx.training.checkpoint import State, Weights

logger = logging.getLogger(__name__)
METRICS = ("loss", "accuracy", "auc")
CHECKPOINT_SECONDS = 30.0
"""At least so long between two checkpoints: writing all variables takes longer than some epochs."""


class Memory:
    """How far a training has come, its best weights, and when both were last written."""

    def __init__(self, state: State, best: Weights | None, folder: Path | None) -> None:
        self.state = state
        self.best = best
        self.folder = folder
        self._written = time.monotonic()

    def record(
        self,
        network: keras.Model,
        phase: str,
        values: Mapping[str, float],
        *,
        rate: float,
        seconds: float,
    ) -> dict[str, Any]:
        """Add a row to the history, and keep the weights if no validation loss was lower.

        Args:
            values: `METRICS`, and the same with `val_`.

        Raises:
            UnusableTraining: a loss is no longer a number.
        """
        history = self.state.history
        if not math.isfinite(values["loss"] + values["val_loss"]):
            raise UnusableTraining(
                f"The loss of epoch {len(history) + 1} is not a number any more; train "
                "with a lower learning rate (--set phases.0.learning_rate=...) or clip gradients "
                "(--set optimizer.clip_norm=1)."
            )
        if values["val_loss"] < min((row["val_loss"] for row in history), default=float("inf")):
            self.best = network.get_weights()
        entry = {
            "epoch": len(history) + 1,
            "phase": phase,
            **{name: values[name] for name in METRICS},
            **{f"val_{name}": values[f"val_{name}"] for name in METRICS},
            "learning_rate": rate,
            "seconds": round(seconds, 3),
        }
        history.append(entry)
        logger.info("epoch %(epoch)d (%(phase)s): loss %(loss).4f, val_loss %(val_loss).4f", entry)
        return entry

    def keep(self, network: keras.Model, optimizer: Any) -> None:
        """Write a checkpoint where it is time for one."""
        if self.folder and time.monotonic() - self._written >= CHECKPOINT_SECONDS:
            checkpoint.save(self.folder, network, optimizer, self.state, self.best)
            self._written = time.monotonic()


class Recorder(keras.callbacks.Callback):
    """Tells the listener, fills the memory, and has checkpoints written."""

    def __init__(
        self,
        recipe: Recipe,
        network: keras.Model,
        memory: Memory,
        batches: TrainingBatches,
        plateau: keras.callbacks.ReduceLROnPlateau | None,
        listener: Listener,
        *,
        before: int,
    ) -> None:
        """Remember what the phase is trained with.

        Args:
            before: epochs of earlier phases.
        """
        super().__init__()
        self.recipe = recipe
        self.network = network
        self.memory = memory
        self.state = memory.state
        self.batches = batches
        self.plateau = plateau
        self.listener = listener
        self.before = before
        self.epochs = sum(phase.epochs for phase in recipe.phases)
        self.started = 0.0
        self.rate = 0.0

    @property
    def done(self) -> int:
        """Epochs of all phases that are done."""
        return self.before + self.state.epochs_done

    def on_train_begin(self, _logs: Mapping[str, float] | None = None) -> None:
        self._tell(0, "building the graph")
        if self.plateau:
            # Keras resets the schedule when training begins; a resumed one goes on.
            for name, value in self.state.plateau.items():
                setattr(self.plateau, name, value)

    def on_epoch_begin(self, _epoch: int, _logs: Mapping[str, float] | None = None) -> None:
        self.batches.epoch = self.done + 1
        self.started = time.perf_counter()
        self.rate = float(self.model.optimizer.learning_rate)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._tell(batch + 1, self._remark(logs or {}, epoch=self.done + 1))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        phase = self.recipe.phases[self.state.phase]
        seconds = time.perf_counter() - self.started
        self.memory.record(self.network, phase.name, values, rate=self.rate, seconds=seconds)
        self.state.epochs_done = epoch + 1
        if self.plateau:
            names = ("best", "wait", "cooldown_counter")
            self.state.plateau = {name: getattr(self.plateau, name) for name in names}
        self.memory.keep(self.network, self.model.optimizer)
        self._tell(0, self._remark(values, epoch=self.done))

    def _tell(self, done: int, remark: str) -> None:
        """Tell the listener of the steps done, `done` of them in the epoch under way."""
        steps = self.params["steps"]
        self.listener(Progress("Training", self.done * steps + done, self.epochs * steps, remark))

    def _remark(self, logs: Mapping[str, float], *, epoch: int) -> str:
        phase = self.recipe.phases[self.state.phase].name
        parts = [f"{phase} {epoch}/{self.epochs}"]
        parts += [f"{name} {float(logs[name]):.3f}" for name in METRICS if name in logs]
        if self.state.history:
            parts.append(f"validation loss {self.state.history[-1]['val_loss']:.3f}")
        return "  ".join(parts)
