"""Transfer: the backbone of a recipe learns the classes of another dataset, whatever they are.

Meanwhile it goes on learning from phantoms, if the recipe says so (see falx.training.rehearsal).
All layers are trained; batch normalization keeps its statistics. The first epochs look at smaller
views, which takes half the time (progressive resizing, as in Tan and Le, EfficientNetV2, 2021). The
heads that are learned with the backbone are thrown away.
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
from falx.model.folding import folded
from falx.model.network import network_input
from falx.model.weights import Weights
from falx.parallel import ahead
from falx.progress import Listener, Progress
from falx.recipe import Optimizer, Precision, Pretraining, Recipe
from falx.training import checkpoint
from falx.training.bank import PlainSource
from falx.training.batches import PlainBatches, epoch_order, targets
from falx.training.checkpoint import State
from falx.training.corpus import Corpus
from falx.training.fit import class_weights
from falx.training.optimizers import make_optimizer, rise_and_fall
from falx.training.phantom_stream import Batch
from falx.training.rehearsal import Mixture, mixed, phantoms_in, rehearsed, retouched
from falx.training.shelf import GIGABYTE, Shelf
from falx.training.tasks import TASKS, Task, task_network
from falx.training.views import Views, render_views

logger = logging.getLogger(__name__)

_SOURCE = "source"
"""The task of telling the classes of the other dataset."""
_DROPOUT = 0.2
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
        self.phantoms = phantoms_in(recipe.batch, self.course.phantoms)
        self.real = recipe.batch - self.phantoms
        # What does not fill a batch is left to another epoch: a batch of another size would have
        # the graph built anew.
        self.steps = max(len(self.learned) // self.real, 1)
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
        self._build(str(weights.file) if weights.file else None, precision)
        self._check_room()

    def run(self) -> None:
        """Train the epochs that are missing, with a checkpoint after each."""
        done, sizes = len(self.state.history), np.repeat(self.sizes, self.steps).tolist()
        drawn = rehearsed(self.course, sizes, phantoms=self.phantoms, first=done * self.steps)
        with closing(drawn) as phantoms:
            for epoch in range(done, len(self.sizes)):
                self.state.history.append(self._train_epoch(epoch + 1, phantoms))
                logger.info("pretraining, epoch %(epoch)d: loss %(loss).4f", self.state.history[-1])
                # Once more, since another process may have taken it off the shelf for room.
                folder = self.shelf.entry(self.name)
                checkpoint.save(folder, self.network, self.network.optimizer, self.state, None)

    def marks(self) -> Marks:
        """How the network answers what was held out, at the size of the last epoch."""
        source = PlainSource(self.views[self.sizes[-1]])
        plain = PlainBatches(source, self.held, self.targets[self.held], batch=self.recipe.batch)
        chances = class_probabilities(self.network.predict(plain, verbose=0)[_SOURCE])
        labels = self.labels[self.held]
        return Marks(
            accuracy=float((chances.argmax(axis=1) == labels).mean()),
            auc=float(roc_auc_score(np.eye(self.classes)[labels], chances)),
            seconds=round(sum(entry["seconds"] for entry in self.state.history), 1),
        )

    def _build(self, weights: str | None, precision: Precision) -> None:
        """Make the network, for views of any size, with all that the last checkpoint remembers."""
        keras.utils.clear_session()
        keras.utils.set_random_seed(self.course.seed)
        backbone = self.recipe.backbone
        self.backbone = build_backbone(backbone, None, weights)
        for layer in self.backbone.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        tasks = self._tasks()
        # Once more, so that the heads depend on nothing that was drawn for the backbone.
        keras.utils.set_random_seed(self.course.seed)
        self.network = task_network(folded(self.backbone, precision), backbone.scaling, tasks)
        self.network.compile(
            self._optimizer(),
            {task.name: task.loss() for task in tasks},
            loss_weights={task.name: task.weight for task in tasks},
        )
        self.network.optimizer.build(self.network.trainable_variables)
        if self.state.history:
            folder = self.shelf.entry(self.name)
            checkpoint.restore_network(folder, self.network)
            checkpoint.restore_optimizer(folder, self.network.optimizer)

    def _tasks(self) -> tuple[Task, ...]:
        """The classes of the other dataset, and what is asked of phantoms where there are any."""
        source = Task(
            _SOURCE,
            self.targets.shape[1],
            1.0,
            exclusive=self.classes > 2,
            dropout=_DROPOUT,
            smoothing=self.course.label_smoothing,
        )
        return (source, *TASKS) if self.phantoms else (source,)

    def _optimizer(self) -> keras.optimizers.Optimizer:
        course, steps = self.course, self.steps * self.course.epochs
        rise = max(min(_WARM_UP, steps // 2), 1)
        adam = Optimizer(name="adamw", clip_norm=_CLIP_NORM, weight_decay=course.weight_decay)
        # One step alone has nothing to fall from.
        rates = rise_and_fall(course.learning_rate, max(steps, rise + 1), rise)
        return make_optimizer(adam, rates)

    def _check_room(self) -> None:
        # A checkpoint holds the network and two moments of each variable, and its successor is
        # written before it goes; a float32 has 4 bytes.
        needed = 4 * self.network.count_params() * 2 * 3
        if needed > self.shelf.make_room(needed):
            raise BadInput(
                f"Checkpoints of the pretraining take {needed / GIGABYTE:.2g} GB, for which there "
                f"is no room; {self.shelf.advice(needed)}."
            )

    def _train_epoch(self, epoch: int, phantoms: Iterator[list[Batch]]) -> dict[str, Any]:
        """Train an epoch, counted from 1, whose number is that of the views."""
        began, size = time.monotonic(), self.sizes[epoch - 1]
        views = self.views[size]
        before, total = (epoch - 1) * self.steps, len(self.sizes) * self.steps
        order = epoch_order(len(self.learned), seed=self.course.seed, epoch=epoch)

        def batch_of(item: tuple[int, list[Batch]]) -> Mixture:
            step, drawn = item
            rows = self.learned[order[step * self.real : (step + 1) * self.real]]
            slices = Batch(views.take(epoch, rows), {_SOURCE: self.targets[rows]})
            again = [retouched(batch, self.course, before + step) for batch in drawn]
            alike = [np.ones(len(batch.views)) for batch in again]
            return mixed([slices, *again], [self.importance[rows], *alike])

        self.network.reset_metrics()
        loss = math.nan
        # Phantoms are waited for here and not in the thread that mixes: the stream can be closed.
        batches = ahead(batch_of, zip(range(self.steps), phantoms, strict=False))
        for step, batch in enumerate(batches):
            remark = f"{epoch}/{len(self.sizes)}  {size} pixels"
            told = remark if math.isnan(loss) else f"{remark}  loss {loss:.3f}"
            self.listener(Progress("Pretraining", before + step, total, told))
            logs = self.network.train_on_batch(
                network_input(batch.views), batch.answers, batch.weights, return_dict=True
            )
            # The mean since the epoch began.
            loss = float(logs["loss"])
            if not math.isfinite(loss):
                raise UnusableTraining(
                    f"The loss of pretraining is not a number any more in epoch {epoch}; lower the "
                    "rate (--set pretraining.learning_rate=...)."
                )
        self.listener(Progress("Pretraining", epoch * self.steps, total, f"loss {loss:.3f}"))
        seconds = round(time.monotonic() - began, 3)
        return {"epoch": epoch, "size": size, "loss": loss, "seconds": seconds}
