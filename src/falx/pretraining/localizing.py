"""Pretraining: a backbone and its localization head learn from phantoms, and from slices if asked.

A network that sees phantoms alone soon learns what is synthetic, so that part of each batch is
slices of other datasets, whose labels, and outlines if there are any, are learned from, and of the
ones without a tumor, lesions implanted into them. What is kept is the average over the last steps
(Polyak and Juditsky, SIAM J. Control Optim. 30, 1992), which changes less from round to round.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.metrics import roc_auc_score

from falx.errors import BadInput, UnusableTraining
from falx.model.backbones import build_backbone, set_batch_norm_momentum
from falx.model.cells import cells
from falx.model.folding import fold_batch_norm
from falx.model.localization import (
    LAST_LAYER,
    CellLoss,
    localization_network,
    with_localization,
)
from falx.model.scaling import network_input
from falx.pretraining.batch import Batch, joined
from falx.pretraining.mixture import Mixture
from falx.pretraining.sources import Source
from falx.pretraining.stream import stream
from falx.progress import Listener, Progress, silent
from falx.recipe import Augmentation, Backbone, Optimizer
from falx.seeds import check_seed
from falx.training import checkpoint
from falx.training.checkpoint import TrainingState, WeightArrays
from falx.training.normalization import fuse_batch_norm
from falx.training.optimizers import make_optimizer, warmup_cosine

BACKBONE = Backbone()
"""The backbone that is pretrained."""

ROUND = 200
"""Steps per round; a round ends with a validation and a checkpoint."""

MAP_WEIGHT = 10.0
"""Weight of the loss of cells; that of slices has 1."""

_WARMUP_STEPS = 100
_AVERAGED_EVERY, _AVERAGE_MOMENTUM = 10, 0.95
_MOMENTUM = 0.99
"""Momentum of moving statistics, where they are learned: they adapt within some hundred steps."""

_TRAINING_SEED, _VALIDATION_SEED = 0, 1
"""Second number of the seeds for training and for validation."""

_PHANTOMS, _SLICES = 256, 1024
"""Number of phantoms, and most slices of a dataset, that a round is scored on."""
_BATCH = 16


@dataclass(frozen=True)
class PretrainingConfig:
    """All that determines a pretraining, except the initial weights and the slices.

    Attributes:
        slices: number of views to train on, rounded up to whole rounds.
        size: side of the views in pixels; a multiple of 32.
        batch_size: views per step.
        learning_rate: its peak, after warmup and before cosine decay.
        seed: of all random draws.
    """

    slices: int
    size: int
    batch_size: int
    learning_rate: float
    seed: int

    @property
    def rounds(self) -> int:
        return -(-self.slices // (self.batch_size * ROUND))

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            BadInput: one is out of its range.
        """
        if self.slices < 1 or self.batch_size < 8 or self.batch_size % 8:
            raise BadInput(
                "--slices must be at least 1, and --batch-size a multiple of 8, got "
                f"{self.slices} and {self.batch_size}."
            )
        check_seed(self.seed)
        if not 0 < self.learning_rate <= 1:
            raise BadInput(f"--learning-rate must be in (0, 1], got {self.learning_rate}.")
        if self.size % 32 or not 64 <= self.size <= 320:
            raise BadInput(f"--size must be a multiple of 32 from 64 to 320, got {self.size}.")


def pretrain_localization(
    config: PretrainingConfig,
    mixture: Mixture,
    weights: str | None,
    *,
    validation: Sequence[Source] = (),
    folder: Path | None = None,
    listener: Listener = silent,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a backbone and a localization head, from the last checkpoint in `folder` if any.

    With random initial weights, the statistics of batch normalization are learned; otherwise they
    are kept.

    Args:
        mixture: what batches consist of.
        weights: path of initial weights, of a backbone or one with a localization head, or None for
            random initialization.
        validation: datasets that are not trained on, to score every round on.
        folder: of checkpoints, or None for none.

    Returns:
        The backbone with its head (see falx.model.localization), and one row per round: slices
        (trained on so far), learning_rate of the last step, loss; auc and pointing (the fraction of
        outlined tumors that the peak of the map touches), on phantoms and, as auc_NAME and
        pointing_NAME, on datasets; seconds.

    Raises:
        BadInput: a label map can't be used.
        UnusableTraining: the loss is not finite, or a process was terminated.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(config.seed)
    localizing = _initial(weights)
    learning = _fused(localizing) if weights is None else _folded(localizing)
    network = localization_network(learning, BACKBONE.scaling)
    steps = config.rounds * ROUND
    schedule = warmup_cosine(config.learning_rate, steps + 1, min(_WARMUP_STEPS, steps // 2))
    network.compile(
        make_optimizer(Optimizer(name="adamw", clip_norm=1.0, weight_decay=1e-4), schedule),
        {"tumor_map": CellLoss(), "tumor": keras.losses.BinaryCrossentropy(from_logits=True)},
        loss_weights={"tumor_map": MAP_WEIGHT, "tumor": 1.0},
    )
    network.optimizer.build(network.trainable_variables)
    state = (checkpoint.load_state(folder) if folder else None) or TrainingState()
    average = network.get_weights()
    if folder and state.history:
        checkpoint.restore_network(folder, network)
        checkpoint.restore_optimizer(folder, network.optimizer)
        average = checkpoint.load_best(folder) or average
    monitor = _Monitor(config, mixture, validation, listener)
    done = len(state.history)
    batches = stream((config.seed, _TRAINING_SEED), [mixture] * steps, start=done * ROUND)
    with closing(batches):
        for number in range(done, config.rounds):
            started = time.monotonic()
            for step in range(number * ROUND, (number + 1) * ROUND):
                monitor.step(network, next(batches), step)
                if step % _AVERAGED_EVERY == 0:
                    # The first weights are forgotten sooner.
                    momentum = min(_AVERAGE_MOMENTUM, step / (step + 10 * _AVERAGED_EVERY))
                    average = _averaged(average, network.get_weights(), momentum)
            state.history.append({
                "slices": (number + 1) * ROUND * config.batch_size,
                "learning_rate": float(schedule((number + 1) * ROUND - 1)),
                **monitor.end_round(network, average),
                "seconds": time.monotonic() - started,
            })  # fmt: skip
            if folder:
                checkpoint.save(folder, network, network.optimizer, state, average)
    network.set_weights(average)
    if weights is None:
        # A folded network shares the variables, a fused one has its own.
        localizing.set_weights(learning.get_weights())
    return localizing, pd.DataFrame(state.history)


def plain_backbone(localizing: keras.Model) -> keras.Model:
    """The backbone below a localization head; they share their variables."""
    return keras.Model(localizing.input, localizing.get_layer(LAST_LAYER).output)


def _initial(weights: str | None) -> keras.Model:
    """A backbone with a localization head; its weights are those of a file that has them."""
    if weights is not None:
        localized = BACKBONE.model_copy(update={"localization": True})
        with suppress(BadInput):
            return build_backbone(localized, None, weights)
    return with_localization(build_backbone(BACKBONE, None, weights))


def _folded(backbone: keras.Model) -> keras.Model:
    """The backbone with its statistics kept, for faster training; it shares its variables."""
    for layer in backbone.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return fold_batch_norm(backbone, "fp32")


def _fused(backbone: keras.Model) -> keras.Model:
    """A copy of the backbone that learns its statistics, for faster training."""
    set_batch_norm_momentum(backbone, _MOMENTUM)
    return fuse_batch_norm(backbone)


def _averaged(average: WeightArrays, weights: WeightArrays, momentum: float) -> WeightArrays:
    return [
        (momentum * old + (1 - momentum) * new).astype(new.dtype)
        for old, new in zip(average, weights, strict=True)
    ]


class _Monitor:
    """Takes steps, reports them, and scores the network on slices that it does not learn from."""

    def __init__(
        self,
        config: PretrainingConfig,
        mixture: Mixture,
        validation: Sequence[Source],
        listener: Listener,
    ) -> None:
        self.config = config
        self.mixture = mixture
        self.validation = validation
        self.listener = listener
        self.losses: list[float] = []
        self.detail = ""

    def step(self, network: keras.Model, batch: Batch, number: int) -> None:
        """Train on a batch."""
        network.reset_metrics()
        logs = network.train_on_batch(
            network_input(batch.views), batch.targets, batch.weights, return_dict=True
        )
        self.losses.append(float(logs["loss"]))
        if not np.isfinite(self.losses[-1]):
            raise UnusableTraining(
                f"The loss is not a finite number after {number + 1} steps; start again with "
                "another --seed, a lower --learning-rate or a larger --batch-size."
            )
        total = self.config.rounds * ROUND
        self.listener(Progress("Pretraining", number + 1, total, self.detail))

    def end_round(self, network: keras.Model, average: WeightArrays) -> dict[str, float]:
        """Mean loss since the last round, and scores of the averaged weights."""
        loss = float(np.mean(self.losses))
        self.losses.clear()
        last = network.get_weights()
        network.set_weights(average)
        scores = _scores(network, *self._phantoms)
        for source, sample in zip(self.validation, self._samples, strict=True):
            found = _scores(network, *sample)
            scores |= {f"{name}_{source.name}": value for name, value in found.items()}
        network.set_weights(last)
        self.detail = f"loss {loss:.3f}, AUC {scores['auc']:.3f}"
        return {"loss": loss, **scores}

    @cached_property
    def _samples(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        return [_sample(source, self.config.seed) for source in self.validation]

    @cached_property
    def _phantoms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        plain = replace(
            self.mixture, phantoms=_BATCH, slices=0, implants=0, sources=(),
            augmentation=Augmentation(),
        )  # fmt: skip
        seeds = [(self.config.seed, _VALIDATION_SEED, n) for n in range(_PHANTOMS // _BATCH)]
        batch = joined([plain.draw(seed) for seed in seeds])
        return batch.views, batch.targets["tumor"][:, 0] > 0, batch.targets["tumor_map"][..., 0]


def _sample(source: Source, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views, labels and maps of at most so many slices of a dataset; maps unknown are empty."""
    rows = np.sort(default_rng(seed).permutation(len(source))[:_SLICES])
    maps = np.stack([cells(cover) for cover in source.covers[rows]])
    return np.array(source.views[rows]), source.tumors[rows], maps


def _scores(
    network: keras.Model, views: np.ndarray, tumors: np.ndarray, maps: np.ndarray
) -> dict[str, float]:
    """AUC of the slices, and how often the peak of the map touches an outlined tumor.

    The latter is NaN where no tumor is outlined.
    """
    chunks = np.array_split(network_input(views), max(len(views) // _BATCH, 1))
    outputs = [network.predict_on_batch(chunk) for chunk in chunks]
    logits, found = (
        np.concatenate([output[name] for output in outputs]) for name in ("tumor", "tumor_map")
    )
    auc = float(roc_auc_score(tumors, logits[:, 0]))
    outlined = np.flatnonzero(maps.any(axis=(1, 2)))
    peaks = found.reshape(len(found), -1)[outlined].argmax(axis=1)
    hits = maps.reshape(len(maps), -1)[outlined, peaks] > 0
    return {"auc": auc, "pointing": float(hits.mean()) if len(hits) else math.nan}
