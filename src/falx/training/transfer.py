"""Transfer: the backbone of a recipe learns the classes of another dataset, whatever they are.

All layers are trained; batch normalization keeps its statistics. The first epochs look at smaller
views, which takes half the time (progressive resizing, as in Tan and Le, EfficientNetV2, 2021). The
head that is learned with the backbone is thrown away.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from falx.detect.finding import class_probabilities
from falx.errors import BadInput, UnusableTraining
from falx.model.network import build_network, network_input, part_network
from falx.model.weights import Weights
from falx.parallel import ahead
from falx.progress import Listener, Progress
from falx.recipe import Head, Optimizer, Phase, Precision, Pretraining, Recipe
from falx.training import checkpoint
from falx.training.bank import PlainSource
from falx.training.batches import PlainBatches, epoch_order, targets
from falx.training.checkpoint import State
from falx.training.corpus import Corpus
from falx.training.fit import class_weights
from falx.training.optimizers import make_optimizer, rise_and_fall
from falx.training.shelf import GIGABYTE, Shelf
from falx.training.views import Views, render_views

logger = logging.getLogger(__name__)

_HEAD = Head(dropout=0.2)
_CLIP_NORM = 1.0
_WARM_UP = 200
"""Steps in which the rate rises, or half of all steps where there are fewer than twice as many."""
_SMALL = 5 / 7
"""The small size over the full one: 160 of 224 pixels."""
_STRIDE = 32


@dataclass(frozen=True)
class Marks:
    """How well the slices that were held out are answered, and what it took.

    Attributes:
        auc: the mean over classes, each against the rest.
        seconds: of training.
    """

    accuracy: float
    auc: float
    seconds: float


def sizes_of(pretraining: Pretraining, full: int) -> list[int]:
    """Side of the views of each epoch in pixels, multiples of 32.

    Args:
        full: side of a recipe's views.
    """
    small = max(round(_SMALL * full / _STRIDE), 1) * _STRIDE
    first = round(pretraining.small_share * pretraining.epochs)
    return [small] * first + [full] * (pretraining.epochs - first)


class Transfer:
    """One pretraining, from the last checkpoint in its entry of a shelf if there is one."""

    def __init__(
        self,
        corpus: Corpus,
        recipe: Recipe,
        weights: Weights,
        precision: Precision,
        shelf: Shelf,
        name: str,
        listener: Listener,
    ) -> None:
        """Render the views of all sizes, and begin.

        Raises:
            BadInput: there is no room on the shelf.
        """
        self.recipe = recipe
        self.weights = weights
        self.precision = precision
        self.shelf = shelf
        self.name = name
        self.listener = listener
        self.course = recipe.pretraining
        self.classes = len(corpus.catalog.classes)
        self.labels = corpus.catalog.labels
        self.targets = targets(self.labels, self.classes)
        self.learned, self.held = np.flatnonzero(~corpus.held), np.flatnonzero(corpus.held)
        counts = class_weights(self.labels[self.learned], self.classes)
        self.importance = np.array([counts[label] for label in self.labels], np.float32)
        self.sizes = sizes_of(self.course, recipe.rendering.size)
        # What does not fill a batch is left to another epoch: a batch of another size would have
        # the graph built anew.
        self.steps = max(len(self.learned) // recipe.batch, 1)
        self.views: dict[int, Views] = {
            size: render_views(
                corpus.catalog,
                recipe.rendering.model_copy(update={"size": size}),
                shelf,
                self.course.augmentation,
                listener=listener,
            )
            for size in sorted(set(self.sizes))
        }
        self.state = checkpoint.load_state(shelf.entry(name)) or State()
        self._begin(self.sizes[min(len(self.state.history), len(self.sizes) - 1)])
        self._check_room()

    def run(self) -> None:
        """Train the epochs that are missing, with a checkpoint after each."""
        for epoch in range(len(self.state.history), len(self.sizes)):
            if self.sizes[epoch] != self.size:
                self._begin(self.sizes[epoch])
            self.state.history.append(self._train_epoch(epoch + 1))
            logger.info("pretraining, epoch %(epoch)d: loss %(loss).4f", self.state.history[-1])
            # Once more, since another process may have taken it off the shelf for room.
            folder = self.shelf.entry(self.name)
            checkpoint.save(folder, self.network, self.rest.optimizer, self.state, None)

    def marks(self) -> Marks:
        """How the network answers what was held out, at the size of the last epoch."""
        source = PlainSource(self.views[self.sizes[-1]])
        plain = PlainBatches(source, self.held, self.targets[self.held], batch=self.recipe.batch)
        chances = class_probabilities(self.rest.predict(plain, verbose=0))
        labels = self.labels[self.held]
        return Marks(
            accuracy=float((chances.argmax(axis=1) == labels).mean()),
            auc=float(roc_auc_score(np.eye(self.classes)[labels], chances)),
            seconds=round(sum(entry["seconds"] for entry in self.state.history), 1),
        )

    def _begin(self, size: int) -> None:
        """Make a network for views of a size, with all that the last checkpoint remembers."""
        keras.utils.clear_session()
        self.size = size
        recipe = _recipe(self.recipe, size)
        file = str(self.weights.file) if self.weights.file else None
        self.network = build_network(recipe, self.classes, file, seed=self.course.seed)
        everything = Phase(name="all", epochs=1, learning_rate=1, train_from=0)
        self.rest = part_network(self.network, recipe, everything, self.precision).rest
        self.rest.compile(self._optimizer(), self._loss())
        self.rest.optimizer.build(self.rest.trainable_variables)
        if self.state.history:
            folder = self.shelf.entry(self.name)
            checkpoint.restore_network(folder, self.network)
            checkpoint.restore_optimizer(folder, self.rest.optimizer)

    def _optimizer(self) -> keras.optimizers.Optimizer:
        course, steps = self.course, self.steps * self.course.epochs
        rise = max(min(_WARM_UP, steps // 2), 1)
        adam = Optimizer(name="adamw", clip_norm=_CLIP_NORM, weight_decay=course.weight_decay)
        # One step alone has nothing to fall from.
        rates = rise_and_fall(course.learning_rate, max(steps, rise + 1), rise)
        return make_optimizer(adam, rates)

    def _loss(self) -> keras.losses.Loss:
        kind = (
            keras.losses.BinaryCrossentropy
            if self.classes == 2
            else keras.losses.CategoricalCrossentropy
        )
        return kind(from_logits=True, label_smoothing=self.course.label_smoothing)

    def _check_room(self) -> None:
        # A checkpoint holds the network and two moments of each variable, and its successor is
        # written before it goes; a float32 has 4 bytes.
        needed = 4 * self.network.count_params() * 2 * 3
        if needed > self.shelf.make_room(needed):
            raise BadInput(
                f"Checkpoints of the pretraining take {needed / GIGABYTE:.2g} GB, for which there "
                f"is no room; {self.shelf.advice(needed)}."
            )

    def _train_epoch(self, epoch: int) -> dict[str, Any]:
        """Train an epoch, counted from 1, whose number is that of the views."""
        began, views, batch = time.monotonic(), self.views[self.size], self.recipe.batch
        order = epoch_order(len(self.learned), seed=self.course.seed, epoch=epoch)

        def batch_of(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            rows = self.learned[order[step * batch : (step + 1) * batch]]
            seen = network_input(views.take(epoch, rows))
            return seen, self.targets[rows], self.importance[rows]

        self.rest.reset_metrics()
        loss = math.nan
        for step, (seen, answers, importance) in enumerate(ahead(batch_of, range(self.steps))):
            done = (epoch - 1) * self.steps + step
            remark = f"{epoch}/{len(self.sizes)}  {self.size} pixels"
            told = remark if math.isnan(loss) else f"{remark}  loss {loss:.3f}"
            self.listener(Progress("Pretraining", done, len(self.sizes) * self.steps, told))
            logs = self.rest.train_on_batch(seen, answers, importance, return_dict=True)
            # The mean since the epoch began.
            loss = float(logs["loss"])
            if not math.isfinite(loss):
                raise UnusableTraining(
                    f"The loss of pretraining is not a number any more in epoch {epoch}; lower the "
                    "rate (--set pretraining.learning_rate=...)."
                )
        total = len(self.sizes) * self.steps
        self.listener(Progress("Pretraining", epoch * self.steps, total, f"loss {loss:.3f}"))
        seconds = round(time.monotonic() - began, 3)
        return {"epoch": epoch, "size": self.size, "loss": loss, "seconds": seconds}


def _recipe(recipe: Recipe, size: int) -> Recipe:
    """The recipe whose network is trained: its backbone, with a head of its own."""
    return recipe.model_copy(
        update={
            "rendering": recipe.rendering.model_copy(update={"size": size}),
            "backbone": recipe.backbone.model_copy(update={"normalization": "inference"}),
            "head": _HEAD,
        }
    )
