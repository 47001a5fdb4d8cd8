"""Supervised pretraining: the backbone of a recipe is trained on the classes of another dataset.

Meanwhile it rehearses on phantoms, if the recipe says so (see falx.pretraining.rehearsal). All
layers are trained, except that batch normalization keeps its statistics. The first epochs use a
lower resolution, at half the time (progressive resizing, as in Tan and Le, EfficientNetV2, 2021).
The heads of the pretraining tasks are discarded.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from falx.detect.finding import class_probabilities
from falx.errors import BadInput, UnusableTraining
from falx.model.backbones import build_backbone
from falx.model.folding import fold_batch_norm
from falx.model.localization import (
    CellLoss,
    class_logits,
    localization_network,
    scaled_input,
    with_localization,
)
from falx.model.scaling import network_input
from falx.model.weights import Weights
from falx.parallel import prefetch
from falx.pretraining.batch import Batch, joined
from falx.pretraining.corpus import Corpus
from falx.pretraining.localizing import MAP_WEIGHT
from falx.pretraining.rehearsal import phantom_batches, phantoms_per_batch
from falx.progress import Listener, Progress
from falx.recipe import Optimizer, Precision, Pretraining, Recipe
from falx.training import checkpoint
from falx.training.bank import ViewSource
from falx.training.batches import SequentialBatches
from falx.training.checkpoint import TrainingState
from falx.training.disk_cache import GIGABYTE, DiskCache
from falx.training.optimizers import make_optimizer, warmup_cosine
from falx.training.targets import balanced_class_weights, encode_targets, epoch_order
from falx.training.views import Views, render_views

logger = logging.getLogger(__name__)

_CLASSES = "classes"
"""The output that classifies the other dataset, the source domain."""
_DROPOUT = 0.2
_CLIP_NORM = 1.0
_WARMUP_STEPS = 200
"""Steps of warmup; half of all steps if there are fewer than twice as many."""
_MULTIPLE = 32
"""Sides of views are multiples of it."""
_LOW_RESOLUTION = 5 / 7
"""Size of views in the first epochs, relative to the full size: 160 of 224 pixels."""


@dataclass(frozen=True)
class HeldOutScores:
    """Scores on the held-out slices, and the training time.

    Attributes:
        auc: macro-averaged, one class against the rest.
        seconds: of training.
    """

    accuracy: float
    auc: float
    seconds: float


def epoch_sizes(config: Pretraining, full_size: int) -> list[int]:
    """Side of the views of each epoch in pixels, multiples of 32.

    Args:
        full_size: side of a recipe's views.
    """
    small_size = max(round(_LOW_RESOLUTION * full_size / _MULTIPLE), 1) * _MULTIPLE
    small = round(config.low_resolution_fraction * config.epochs)
    return [small_size] * small + [full_size] * (config.epochs - small)


class Transfer:
    """One pretraining, from the last checkpoint in its cache entry if there is one."""

    def __init__(
        self,
        corpus: Corpus,
        recipe: Recipe,
        weights: Weights,
        precision: Precision,
        cache: DiskCache,
        name: str,
        listener: Listener,
    ) -> None:
        """Render the views of all sizes, and build the network.

        Args:
            name: of the cache entry.

        Raises:
            BadInput: the cache has no room.
        """
        self.recipe = recipe
        self.cache = cache
        self.name = name
        self.listener = listener
        self.config = recipe.pretraining
        self.classes = len(corpus.catalog.classes)
        self.labels = corpus.catalog.labels
        self.targets = encode_targets(self.labels, self.classes)
        self.train, self.held_out = (
            np.flatnonzero(~corpus.held_out), np.flatnonzero(corpus.held_out)
        )  # fmt: skip
        class_weights = balanced_class_weights(self.labels[self.train], self.classes)
        self.sample_weights = np.array([class_weights[code] for code in self.labels], np.float32)
        self.sizes = epoch_sizes(self.config, recipe.rendering.size)
        self.phantoms = phantoms_per_batch(recipe.batch_size, self.config.phantom_fraction)
        self.slices = recipe.batch_size - self.phantoms
        # An incomplete last batch is dropped: another batch size would rebuild the graph.
        self.steps = max(len(self.train) // self.slices, 1)
        self.views: dict[int, Views] = {
            size: render_views(
                corpus.catalog,
                recipe.rendering.model_copy(update={"size": size}),
                cache,
                self.config.augmentation,
                listener=listener,
            )
            for size in sorted(set(self.sizes))
        }
        self.state = checkpoint.load_state(cache.entry(name)) or TrainingState()
        self._build(str(weights.file) if weights.file else None, precision)
        self._check_room()

    def run(self) -> None:
        """Train the remaining epochs, with a checkpoint after each.

        Raises:
            UnusableTraining: the loss is not finite, or a process was terminated.
        """
        done, sizes = len(self.state.history), np.repeat(self.sizes, self.steps).tolist()
        batches = phantom_batches(
            self.config, sizes, phantoms=self.phantoms, start=done * self.steps
        )
        with closing(batches) as phantoms:
            for epoch in range(done, len(self.sizes)):
                self.state.history.append(self._train_epoch(epoch + 1, phantoms))
                logger.info("pretraining, epoch %(epoch)d: loss %(loss).4f", self.state.history[-1])
                # Created again if another process has removed the entry to make room.
                folder = self.cache.entry(self.name)
                checkpoint.save(folder, self.network, self.network.optimizer, self.state, None)

    def held_out_scores(self) -> HeldOutScores:
        """Scores on the held-out slices, at the size of the last epoch."""
        batches = SequentialBatches(
            ViewSource(self.views[self.sizes[-1]]),
            self.held_out,
            self.targets[self.held_out],
            batch_size=self.recipe.batch_size,
        )
        probabilities = class_probabilities(self.network.predict(batches, verbose=0)[_CLASSES])
        labels = self.labels[self.held_out]
        return HeldOutScores(
            accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
            auc=float(roc_auc_score(np.eye(self.classes)[labels], probabilities)),
            seconds=round(sum(entry["seconds"] for entry in self.state.history), 1),
        )

    def _build(self, weights: str | None, precision: Precision) -> None:
        """Build the network, for views of any size, and restore the last checkpoint."""
        keras.utils.clear_session()
        keras.utils.set_random_seed(self.config.seed)
        backbone = self.recipe.backbone
        self.backbone = build_backbone(backbone, None, weights)
        for layer in self.backbone.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        # Again, so that the heads do not depend on the random draws of the backbone.
        keras.utils.set_random_seed(self.config.seed)
        self.network = self._network(backbone.scaling, precision)
        losses = self._losses()
        weights_of_losses = {name: MAP_WEIGHT if name == "tumor_map" else 1.0 for name in losses}
        self.network.compile(self._optimizer(), losses, loss_weights=weights_of_losses)
        self.network.optimizer.build(self.network.trainable_variables)
        if self.state.history:
            folder = self.cache.entry(self.name)
            checkpoint.restore_network(folder, self.network)
            checkpoint.restore_optimizer(folder, self.network.optimizer)

    def _network(self, scaling: str, precision: Precision) -> keras.Model:
        """The backbone with a head for the classes, and one for the phantoms if there are any."""
        outputs = self.targets.shape[1]
        if self.phantoms:
            localizing = fold_batch_norm(with_localization(self.backbone), precision)
            return localization_network(localizing, scaling, classes=outputs, dropout=_DROPOUT)
        gray, scaled = scaled_input(scaling)
        features = fold_batch_norm(self.backbone, precision)(scaled)
        logits = class_logits(features, outputs, _DROPOUT)
        return keras.Model(gray, {_CLASSES: logits}, name="classification")

    def _losses(self) -> dict[str, keras.losses.Loss]:
        """Of the classes of the other dataset, and of phantoms if there are any."""
        losses = keras.losses
        exclusive = (
            losses.CategoricalCrossentropy if self.classes > 2 else losses.BinaryCrossentropy
        )
        classes = exclusive(from_logits=True, label_smoothing=self.config.label_smoothing)
        if not self.phantoms:
            return {_CLASSES: classes}
        tumor = losses.BinaryCrossentropy(from_logits=True)
        return {_CLASSES: classes, "tumor_map": CellLoss(), "tumor": tumor}

    def _optimizer(self) -> keras.optimizers.Optimizer:
        config, steps = self.config, self.steps * self.config.epochs
        warmup = max(min(_WARMUP_STEPS, steps // 2), 1)
        adamw = Optimizer(name="adamw", clip_norm=_CLIP_NORM, weight_decay=config.weight_decay)
        # A single step leaves none for the decay.
        schedule = warmup_cosine(config.learning_rate, max(steps, warmup + 1), warmup)
        return make_optimizer(adamw, schedule)

    def _check_room(self) -> None:
        # A checkpoint holds the network and two moments of each variable, 4 bytes per number, and
        # the next one is written before it is removed.
        needed = 4 * self.network.count_params() * 2 * 3
        if needed > self.cache.make_room(needed):
            raise BadInput(
                f"Checkpoints of the pretraining take {needed / GIGABYTE:.2g} GB, for which there "
                f"is no room; {self.cache.advice(needed)}."
            )

    def _train_epoch(self, epoch: int, phantoms: Iterator[list[Batch]]) -> dict[str, Any]:
        """Train an epoch, counted from 1, which is also the index of the views."""
        started, size = time.monotonic(), self.sizes[epoch - 1]
        views = self.views[size]
        before, total = (epoch - 1) * self.steps, len(self.sizes) * self.steps
        order = epoch_order(len(self.train), seed=self.config.seed, epoch=epoch)

        def make_batch(item: tuple[int, list[Batch]]) -> Batch:
            step, drawn = item
            rows = self.train[order[step * self.slices : (step + 1) * self.slices]]
            slices = Batch(
                views.take(epoch, rows),
                {_CLASSES: self.targets[rows]},
                {_CLASSES: self.sample_weights[rows]},
            )
            return joined([slices, *drawn])

        self.network.reset_metrics()
        loss = math.nan
        # This thread waits for phantoms, not the one that mixes, so that the stream can be closed.
        batches = prefetch(make_batch, zip(range(self.steps), phantoms, strict=False))
        for step, batch in enumerate(batches):
            detail = f"{epoch}/{len(self.sizes)}  {size} pixels"
            if not math.isnan(loss):
                detail += f"  loss {loss:.3f}"
            self.listener(Progress("Pretraining", before + step, total, detail))
            logs = self.network.train_on_batch(
                network_input(batch.views), batch.targets, batch.weights, return_dict=True
            )
            # The mean since the start of the epoch.
            loss = float(logs["loss"])
            if not math.isfinite(loss):
                raise UnusableTraining(
                    f"The loss of pretraining is not a finite number in epoch {epoch}; lower the "
                    "learning rate (--set pretraining.learning_rate=...)."
                )
        self.listener(Progress("Pretraining", epoch * self.steps, total, f"loss {loss:.3f}"))
        seconds = round(time.monotonic() - started, 3)
        return {"epoch": epoch, "size": size, "loss": loss, "seconds": seconds}
