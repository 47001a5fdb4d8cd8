"""Training in one phase: the tail by its optimizer, epoch by epoch, or a linear head in one go."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from falx.progress import Listener, Progress
from falx.recipe import Phase, Recipe
from falx.training import checkpoint
from falx.training.bank import FeatureSource
from falx.training.batches import SequentialBatches, ShuffledBatches
from falx.training.logistic import fit_logistic
from falx.training.recorder import Checkpointer, Recorder, reduce_on_plateau
from falx.training.schedule import phase_views, total_epochs
from falx.training.stage import Stage
from falx.training.targets import balanced_weights
from falx.training.views import PLAIN


@dataclass(frozen=True)
class LabeledRows:
    """Slices by their row in the views.

    Attributes:
        rows: int (n,).
        labels: class codes, int (n,).
        targets: see falx.training.batches.encode_targets.
        sources: source of each slice, int (n,).
    """

    rows: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    sources: np.ndarray


@dataclass(frozen=True)
class Training:
    """One training: its data, its seed and its progress.

    Attributes:
        seed: of the order of slices.
        checkpointer: its state names the current phase and the epochs that are done.
        tensorboard: folder of TensorBoard logs, or None for none.
    """

    train: LabeledRows
    validation: LabeledRows
    seed: int
    checkpointer: Checkpointer
    tensorboard: Path | None = None


def train_phase(
    recipe: Recipe,
    network: keras.Model,
    stage: Stage,
    source: FeatureSource,
    training: Training,
    listener: Listener,
) -> None:
    """Train the current phase from its first epoch that is not done.

    Args:
        network: the whole network.
        stage: of the phase; its parts share the variables of the network.
        source: of the inputs of the stage's tail.
    """
    state = training.checkpointer.state
    phase, done = recipe.phases[state.phase], state.epochs_done
    views = phase_views(recipe, state.phase, done=done)
    rows = {PLAIN: training.validation.rows} | dict.fromkeys(views, training.train.rows)
    source.prepare(rows, listener)
    stage.reset()
    if phase.solver == "logistic":
        _fit_head(recipe, phase, network, stage, source, training, views)
        listener(Progress("Training", phase.epochs, total_epochs(recipe), phase.name))
        return
    folder = training.checkpointer.folder
    if folder and done:
        checkpoint.restore_optimizer(folder, stage.optimizer)
    batches = ShuffledBatches(
        source, training.train.rows, training.train.targets,
        _weights(recipe, training.train, stage.classes),
        batch_size=recipe.batch_size, seed=training.seed, epoch=views[0],
    )  # fmt: skip
    plateau = reduce_on_plateau(recipe.plateau) if recipe.plateau else None
    recorder = Recorder(
        recipe, network, training.checkpointer, batches, plateau, listener,
        earlier_epochs=views[0] - 1 - done,
    )  # fmt: skip
    callbacks = [*([plateau] if plateau else []), recorder]
    if training.tensorboard:
        logs = training.tensorboard / phase.name
        callbacks.append(keras.callbacks.TensorBoard(logs, write_graph=False))
    stage.tail.fit(
        batches,
        validation_data=_sequential(recipe, source, training.validation),
        initial_epoch=done,
        epochs=phase.epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    )


def _weights(recipe: Recipe, train: LabeledRows, classes: int) -> np.ndarray | None:
    """Weight of each training slice in the loss, float (n,); None where all count the same."""
    if recipe.class_weights == "none":
        return None
    return balanced_weights(train.labels, train.sources, classes)


def _fit_head(
    recipe: Recipe,
    phase: Phase,
    network: keras.Model,
    stage: Stage,
    source: FeatureSource,
    training: Training,
    views: range,
) -> None:
    """Fit a linear head to some views of the training slices by logistic regression."""
    train, checkpointer, started = training.train, training.checkpointer, time.time()
    weights = _weights(recipe, train, stage.classes)
    kernel, bias = fit_logistic(
        np.concatenate([source.take(view, train.rows) for view in views]),
        np.tile(train.labels, len(views)),
        None if weights is None else np.tile(weights, len(views)),
        views=len(views),
        l2=phase.l2,
    )
    network.get_layer("logits").set_weights([kernel, bias])
    values, validation_values = (
        stage.tail.evaluate(
            _sequential(recipe, source, part, view=view), verbose=0, return_dict=True
        )
        for part, view in ((train, views[-1]), (training.validation, PLAIN))
    )
    checkpointer.record(
        network,
        phase.name,
        values | {f"val_{name}": value for name, value in validation_values.items()},
        learning_rate=0.0,
        seconds=time.time() - started,
    )
    checkpointer.state.epochs_done = phase.epochs
    checkpointer.save(network, stage.optimizer)


def _sequential(
    recipe: Recipe, source: FeatureSource, part: LabeledRows, *, view: int = PLAIN
) -> SequentialBatches:
    return SequentialBatches(
        source, part.rows, part.targets, batch_size=recipe.batch_size, view=view
    )
