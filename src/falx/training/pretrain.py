"""Pretraining: a backbone learns from an endless stream of phantoms.

They come in rounds. Those of a round are shuffled and seen several times, each time as another
view, since it takes longer to draw a phantom than to learn from it. Most steps are taken at a small
size, the last ones at a larger one (progressive resizing, as in Tan and Le, EfficientNetV2, 2021);
the rate rises and falls in both, since what was learned at one size is not right at another.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.random import Generator, default_rng
from sklearn.metrics import roc_auc_score

from falx import defaults
from falx.errors import BadInput, UnusableTraining
from falx.model.backbones import build_backbone, follow_batches
from falx.model.network import backbone_of, network_input
from falx.progress import Listener, Progress, silent
from falx.recipe import Backbone, Optimizer
from falx.training import checkpoint
from falx.training.checkpoint import State
from falx.training.normalization import hastened
from falx.training.optimizers import make_optimizer, rise_and_fall
from falx.training.phantom_stream import STRIDE, Batch, altered, draw_batch, stream
from falx.training.tasks import TASKS, task_network

BACKBONE = Backbone(normalization="training")
"""What is pretrained."""

_SMALL = 0.6
"""The small size over the full one."""

ROUND = 50
"""Batches of phantoms in a round, after which there is a report and a checkpoint."""

VIEWS = 4
"""Views of each phantom."""

_WARM_UP = 0.03
"""Share of the steps in which the rate rises."""

_MOMENTUM = 0.99
"""Of running statistics: they follow within a few hundred steps."""

_LEARNED, _CHECKED, _SHUFFLED = 0, 1, 2
"""What is drawn by a seed: phantoms to learn from, others, and the order and views of the first."""

_CHECKS = 512


@dataclass(frozen=True)
class Course:
    """All that decides a pretraining, but for the weights that it begins with.

    Attributes:
        slices: phantoms to learn from, rounded up to whole rounds.
        size: side of the views of the last steps, in pixels; a multiple of 32.
        batch: phantoms a step.
        small_share: share of the rounds that are of a small size, 0.6 of the full one; in [0, 1].
        rate: highest learning rate; at each size it rises first, then falls as a cosine (Loshchilov
            and Hutter, 2017).
        seed: of everything that is random.
    """

    slices: int
    size: int = defaults.PRETRAINING_SIZE
    batch: int = defaults.PRETRAINING_BATCH
    small_share: float = defaults.PRETRAINING_SMALL_SHARE
    rate: float = defaults.PRETRAINING_RATE
    seed: int = 0

    @property
    def sizes(self) -> list[int]:
        """Side of the views of each round, in pixels."""
        rounds = -(-self.slices // (self.batch * ROUND))
        most = rounds if self.small_share == 1 else rounds - 1
        small = min(round(self.small_share * rounds), most)
        smaller = max(round(_SMALL * self.size / STRIDE), 2) * STRIDE
        return [smaller] * small + [self.size] * (rounds - small)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            BadInput: one is out of its range.
        """
        if self.slices < 1 or self.batch < 2:
            raise BadInput(
                f"Pretraining takes slices, two a step at least; got {self.slices}, {self.batch}."
            )
        if not 0 <= self.seed <= defaults.MOST_SEED:
            raise BadInput(f"A seed must be from 0 to {defaults.MOST_SEED}, got {self.seed}.")
        if not (0 <= self.small_share <= 1 and 0 < self.rate <= 1):
            raise BadInput(
                "--small-share must be from 0 to 1 and --rate above 0 and at most 1, got "
                f"{self.small_share} and {self.rate}."
            )
        if self.size % STRIDE or not 64 <= self.size <= 320:
            raise BadInput(
                f"--size must be a multiple of {STRIDE} from 64 to 320, got {self.size}."
            )


def pretrain(
    course: Course,
    weights: str | None,
    *,
    folder: Path | None = None,
    listener: Listener = silent,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a backbone on phantoms, from the last checkpoint in `folder` if there is one.

    Args:
        weights: path of backbone weights to begin with, or None for random initialization.
        folder: where checkpoints are kept, or None for none.

    Returns:
        The backbone, and one row a round: slices seen, size, learning_rate of the last step, loss,
        and on phantoms that it does not learn from: auc (tumor or not), kind and appearance and
        plane (shares that are right), pointing (share of tumors that the hottest place touches);
        seconds.

    Raises:
        UnusableTraining: the loss is no longer a number, or a process ended before its time.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(course.seed)
    backbone = build_backbone(BACKBONE, None, weights)
    follow_batches(backbone, _MOMENTUM)
    network = task_network(hastened(backbone), BACKBONE.scaling)
    sizes = course.sizes
    rates = _Waves(course.rate, _steps(sizes))
    network.compile(
        make_optimizer(Optimizer(), rates),
        {task.name: task.loss() for task in TASKS},
        loss_weights={task.name: task.weight for task in TASKS},
    )
    network.optimizer.build(network.trainable_variables)
    state = (checkpoint.load_state(folder) if folder else None) or State()
    if folder and state.history:
        checkpoint.restore_network(folder, network)
        checkpoint.restore_optimizer(folder, network.optimizer)
    reporter = _Reporter(network, course, rates, state, folder, listener)
    done = len(state.history)
    drawn = stream(
        (course.seed, _LEARNED), np.repeat(sizes, ROUND).tolist(), batch=course.batch,
        ahead=ROUND, first=done * ROUND,
    )  # fmt: skip
    with closing(drawn):
        for number in range(done, len(sizes)):
            phantoms = _joined(list(islice(drawn, ROUND)))
            rng = default_rng((course.seed, _SHUFFLED, number))
            for batch in _shuffled(phantoms, course.batch, rng):
                network.reset_metrics()
                logs = network.train_on_batch(
                    network_input(batch.views), batch.answers, return_dict=True
                )
                reporter.hear(logs)
            reporter.report(sizes[number])
    backbone.set_weights(backbone_of(network).get_weights())
    return backbone, pd.DataFrame(state.history)


def _joined(batches: list[Batch]) -> Batch:
    names = batches[0].answers
    answers = {name: np.concatenate([batch.answers[name] for batch in batches]) for name in names}
    return Batch(np.concatenate([batch.views for batch in batches]), answers)


def _shuffled(phantoms: Batch, batch: int, rng: Generator) -> Iterator[Batch]:
    """All phantoms `VIEWS` times over, in batches, always in another order and other views."""
    for _ in range(VIEWS):
        order = rng.permutation(len(phantoms.views))
        for rows in order.reshape(-1, batch):
            answers = {name: values[rows] for name, values in phantoms.answers.items()}
            yield altered(Batch(phantoms.views[rows], answers), rng)


def _steps(sizes: Sequence[int]) -> tuple[int, ...]:
    """How many steps are taken at each size."""
    return tuple(ROUND * VIEWS * sizes.count(size) for size in sorted(set(sizes)))


class _Waves(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises and falls once over each stretch of steps."""

    def __init__(self, rate: float, stretches: Sequence[int]) -> None:
        super().__init__()
        self.stretches = tuple(stretches)
        self.waves = [
            rise_and_fall(rate, steps, max(round(_WARM_UP * steps), 1)) for steps in stretches
        ]

    def __call__(self, step: Any) -> Any:
        """The rate of a step, from 0."""
        rate, start = self.waves[0](step), 0
        for wave, before in zip(self.waves[1:], self.stretches, strict=False):
            start += before
            rate = keras.ops.where(step < start, rate, wave(step - start))
        return rate


class _Reporter:
    """Tells how it goes, and writes a checkpoint after each round."""

    def __init__(
        self,
        network: keras.Model,
        course: Course,
        rates: _Waves,
        state: State,
        folder: Path | None,
        listener: Listener,
    ) -> None:
        self.network = network
        self.course = course
        self.rates = rates
        self.state = state
        self.folder = folder
        self.listener = listener
        self.began = time.monotonic()
        self.checked: tuple[int, Batch] | None = None
        self.losses: list[float] = []
        self.remark = ""

    def hear(self, logs: dict[str, Any]) -> None:
        """Take note of the losses of a step."""
        self.losses.append(float(logs["loss"]))
        a_round, rounds = ROUND * VIEWS, len(self.course.sizes)
        step = len(self.state.history) * a_round + len(self.losses)
        if not np.isfinite(self.losses[-1]):
            raise UnusableTraining(
                f"The loss is no longer a number after {step} steps; start over with another "
                "--seed or a larger --batch."
            )
        self.listener(Progress("Pretraining", step, rounds * a_round, self.remark))

    def report(self, size: int) -> None:
        """Check the network after a round on views of some size, and write a checkpoint."""
        seconds, self.began = time.monotonic() - self.began, time.monotonic()
        found, loss = self._check(size), float(np.mean(self.losses))
        self.losses.clear()
        row = {
            "slices": (len(self.state.history) + 1) * ROUND * self.course.batch,
            "size": size,
            "learning_rate": float(self.rates(int(self.network.optimizer.iterations) - 1)),
            "loss": loss,
            **found,
            "seconds": seconds,
        }
        self.state.history.append(row)
        self.remark = f"loss {loss:.3f}, AUC {found['auc']:.3f}"
        if self.folder:
            checkpoint.save(self.folder, self.network, self.network.optimizer, self.state, None)

    def _check(self, size: int) -> dict[str, float]:
        if self.checked is None or self.checked[0] != size:
            seed = (self.course.seed, _CHECKED)
            self.checked = (size, draw_batch(seed, _CHECKS, size))
        batch = self.checked[1]
        parts = np.array_split(network_input(batch.views), max(_CHECKS // self.course.batch, 1))
        answers = [self.network.predict_on_batch(part) for part in parts]
        logits = {task.name: np.concatenate([a[task.name] for a in answers]) for task in TASKS}
        return _marks(logits, batch.answers)


def _marks(logits: dict[str, np.ndarray], answers: dict[str, np.ndarray]) -> dict[str, float]:
    """How well phantoms are answered; see `pretrain`."""
    ill = answers["tumor"][:, 0] > 0
    right = {
        name: logits[name].argmax(axis=1) == answers[name].argmax(axis=1)
        for name in ("kind", "appearance", "plane")
    }
    places = (int(ill.sum()), -1)
    hottest = logits["where"][ill].reshape(places).argmax(axis=1)
    touched = answers["where"][ill].reshape(places)[np.arange(places[0]), hottest] > 0
    return {
        "auc": float(roc_auc_score(ill, logits["tumor"][:, 0])),
        "kind": float(right["kind"][ill].mean()),
        "appearance": float(right["appearance"].mean()),
        "plane": float(right["plane"].mean()),
        "pointing": float(touched.mean()),
    }
