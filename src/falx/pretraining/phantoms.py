"""Pretraining: a backbone is trained on a stream of phantoms.

They are drawn in rounds. The phantoms of a round are shuffled and used several times, each time as
another view, since drawing a phantom takes longer than training on it. Most steps are taken at a
low resolution, the last ones at the full one (progressive resizing, as in Tan and Le,
EfficientNetV2, 2021). The learning rate is warmed up and decays in both stages, since features of
one resolution do not fit another.
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

from falx.errors import BadInput, UnusableTraining
from falx.model.backbones import build_backbone, set_batch_norm_momentum
from falx.model.network import backbone_of, network_input
from falx.pretraining.phantom_stream import STRIDE, Batch, augment_batch, draw_batch, stream
from falx.pretraining.tasks import TASKS, task_network
from falx.progress import Listener, Progress, silent
from falx.recipe import Backbone, Optimizer
from falx.seeds import check_seed
from falx.training import checkpoint
from falx.training.checkpoint import TrainingState
from falx.training.normalization import fuse_batch_norm
from falx.training.optimizers import make_optimizer, warmup_cosine

BACKBONE = Backbone(normalization="training")
"""The backbone that is pretrained."""

_LOW_RESOLUTION = 0.6
"""Size of views in the first stage, relative to the full size."""

ROUND = 50
"""Batches of phantoms per round; a round ends with a validation and a checkpoint."""

VIEWS = 4
"""Views of each phantom."""

_WARMUP = 0.03
"""Fraction of the steps of a stage in which the learning rate rises."""

_MOMENTUM = 0.99
"""Momentum of moving statistics: they adapt within a few hundred steps."""

_TRAINING_SEED, _VALIDATION_SEED, _SHUFFLE_SEED = 0, 1, 2
"""Second number of the seeds for training phantoms, for validation phantoms, and for the order and
augmentation of the training phantoms."""

_VALIDATION_PHANTOMS = 512


@dataclass(frozen=True)
class PretrainingConfig:
    """All that determines a pretraining, except the initial weights.

    Attributes:
        slices: number of training phantoms, rounded up to whole rounds.
        size: side of the views of the last stage in pixels; a multiple of 32.
        batch_size: phantoms per step.
        low_resolution_fraction: fraction of the rounds at 0.6 of the full size, in [0, 1].
        learning_rate: peak of the learning rate in each stage, before cosine decay (Loshchilov and
            Hutter, 2017).
        seed: of all random draws.
    """

    slices: int
    size: int
    batch_size: int
    low_resolution_fraction: float
    learning_rate: float
    seed: int

    @property
    def sizes(self) -> list[int]:
        """Side of the views of each round in pixels."""
        rounds = -(-self.slices // (self.batch_size * ROUND))
        max_small = rounds if self.low_resolution_fraction == 1 else rounds - 1
        small = min(round(self.low_resolution_fraction * rounds), max_small)
        small_size = max(round(_LOW_RESOLUTION * self.size / STRIDE), 2) * STRIDE
        return [small_size] * small + [self.size] * (rounds - small)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            BadInput: one is out of its range.
        """
        if self.slices < 1 or self.batch_size < 2:
            raise BadInput(
                f"--slices must be at least 1 and --batch-size at least 2, got {self.slices} and "
                f"{self.batch_size}."
            )
        check_seed(self.seed)
        if not (0 <= self.low_resolution_fraction <= 1 and 0 < self.learning_rate <= 1):
            raise BadInput(
                "--low-resolution-fraction must be in [0, 1] and --learning-rate in (0, 1], got "
                f"{self.low_resolution_fraction} and {self.learning_rate}."
            )
        if self.size % STRIDE or not 64 <= self.size <= 320:
            raise BadInput(
                f"--size must be a multiple of {STRIDE} from 64 to 320, got {self.size}."
            )


def pretrain_on_phantoms(
    config: PretrainingConfig,
    weights: str | None,
    *,
    folder: Path | None = None,
    listener: Listener = silent,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a backbone on phantoms, from the last checkpoint in `folder` if there is one.

    Args:
        weights: path of initial backbone weights, or None for random initialization.
        folder: of checkpoints, or None for none.

    Returns:
        The backbone, and one row per round: slices (trained on so far), size, learning_rate of the
        last step, loss; on validation phantoms: auc (tumor or none), kind, appearance and plane
        (accuracies), pointing (fraction of tumors that the peak of the tumor map touches); seconds.

    Raises:
        UnusableTraining: the loss is not finite, or a process was terminated.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(config.seed)
    backbone = build_backbone(BACKBONE, None, weights)
    set_batch_norm_momentum(backbone, _MOMENTUM)
    network = task_network(fuse_batch_norm(backbone), BACKBONE.scaling)
    sizes = config.sizes
    schedule = StagedCosine(config.learning_rate, _stage_steps(sizes))
    network.compile(
        make_optimizer(Optimizer(), schedule),
        {task.name: task.loss() for task in TASKS},
        loss_weights={task.name: task.weight for task in TASKS},
    )
    network.optimizer.build(network.trainable_variables)
    state = (checkpoint.load_state(folder) if folder else None) or TrainingState()
    if folder and state.history:
        checkpoint.restore_network(folder, network)
        checkpoint.restore_optimizer(folder, network.optimizer)
    monitor = _Monitor(network, config, schedule, state, folder, listener)
    done = len(state.history)
    batches = stream(
        (config.seed, _TRAINING_SEED), np.repeat(sizes, ROUND).tolist(),
        batch_size=config.batch_size, prefetch=ROUND, start=done * ROUND,
    )  # fmt: skip
    with closing(batches):
        for index in range(done, len(sizes)):
            phantoms = _concatenate(list(islice(batches, ROUND)))
            rng = default_rng((config.seed, _SHUFFLE_SEED, index))
            for batch in _training_batches(phantoms, config.batch_size, rng):
                network.reset_metrics()
                logs = network.train_on_batch(
                    network_input(batch.views), batch.targets, return_dict=True
                )
                monitor.end_step(logs)
            monitor.end_round(sizes[index])
    backbone.set_weights(backbone_of(network).get_weights())
    return backbone, pd.DataFrame(state.history)


class StagedCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Warmup and cosine decay, once in each stage of a training."""

    def __init__(self, peak: float, stage_steps: Sequence[int]) -> None:
        super().__init__()
        self.stage_steps = tuple(stage_steps)
        self.schedules = [
            warmup_cosine(peak, steps, max(round(_WARMUP * steps), 1)) for steps in stage_steps
        ]

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, from 0."""
        rate, start = self.schedules[0](step), 0
        for schedule, previous_steps in zip(self.schedules[1:], self.stage_steps, strict=False):
            start += previous_steps
            rate = keras.ops.where(step < start, rate, schedule(step - start))
        return rate


def _stage_steps(sizes: Sequence[int]) -> tuple[int, ...]:
    """Number of steps at each size, in increasing order of size."""
    return tuple(ROUND * VIEWS * sizes.count(size) for size in sorted(set(sizes)))


def _concatenate(batches: list[Batch]) -> Batch:
    tasks = batches[0].targets
    targets = {task: np.concatenate([batch.targets[task] for batch in batches]) for task in tasks}
    return Batch(np.concatenate([batch.views for batch in batches]), targets)


def _training_batches(phantoms: Batch, batch_size: int, rng: Generator) -> Iterator[Batch]:
    """All phantoms `VIEWS` times, in random order and random views, in batches."""
    for _ in range(VIEWS):
        order = rng.permutation(len(phantoms.views))
        for rows in order.reshape(-1, batch_size):
            targets = {task: values[rows] for task, values in phantoms.targets.items()}
            yield augment_batch(Batch(phantoms.views[rows], targets), rng)


class _Monitor:
    """Reports progress; validates the network and writes a checkpoint after each round."""

    def __init__(
        self,
        network: keras.Model,
        config: PretrainingConfig,
        schedule: StagedCosine,
        state: TrainingState,
        folder: Path | None,
        listener: Listener,
    ) -> None:
        self.network = network
        self.config = config
        self.schedule = schedule
        self.state = state
        self.folder = folder
        self.listener = listener
        self.round_started = time.monotonic()
        self.validation: tuple[int, Batch] | None = None
        self.losses: list[float] = []
        self.detail = ""

    def end_step(self, logs: dict[str, Any]) -> None:
        """Record the loss of a step."""
        self.losses.append(float(logs["loss"]))
        round_steps, rounds = ROUND * VIEWS, len(self.config.sizes)
        step = len(self.state.history) * round_steps + len(self.losses)
        if not np.isfinite(self.losses[-1]):
            raise UnusableTraining(
                f"The loss is not a finite number after {step} steps; start again with another "
                "--seed, a lower --learning-rate or a larger --batch-size."
            )
        self.listener(Progress("Pretraining", step, rounds * round_steps, self.detail))

    def end_round(self, size: int) -> None:
        """Validate the network on views of some size, and write a checkpoint."""
        seconds, self.round_started = time.monotonic() - self.round_started, time.monotonic()
        scores, loss = self._validate(size), float(np.mean(self.losses))
        self.losses.clear()
        row = {
            "slices": (len(self.state.history) + 1) * ROUND * self.config.batch_size,
            "size": size,
            "learning_rate": float(self.schedule(int(self.network.optimizer.iterations) - 1)),
            "loss": loss,
            **scores,
            "seconds": seconds,
        }
        self.state.history.append(row)
        self.detail = f"loss {loss:.3f}, AUC {scores['auc']:.3f}"
        if self.folder:
            checkpoint.save(self.folder, self.network, self.network.optimizer, self.state, None)

    def _validate(self, size: int) -> dict[str, float]:
        if self.validation is None or self.validation[0] != size:
            seed = (self.config.seed, _VALIDATION_SEED)
            self.validation = (size, draw_batch(seed, _VALIDATION_PHANTOMS, size))
        batch = self.validation[1]
        chunks = np.array_split(
            network_input(batch.views), max(_VALIDATION_PHANTOMS // self.config.batch_size, 1)
        )
        outputs = [self.network.predict_on_batch(chunk) for chunk in chunks]
        logits = {
            task.name: np.concatenate([output[task.name] for output in outputs]) for task in TASKS
        }
        return _scores(logits, batch.targets)


def _scores(logits: dict[str, np.ndarray], targets: dict[str, np.ndarray]) -> dict[str, float]:
    """Scores of predictions for phantoms; see `pretrain_on_phantoms`."""
    tumor = targets["tumor"][:, 0] > 0
    correct = {
        task: logits[task].argmax(axis=1) == targets[task].argmax(axis=1)
        for task in ("kind", "appearance", "plane")
    }
    shape = (int(tumor.sum()), -1)
    peaks = logits["tumor_map"][tumor].reshape(shape).argmax(axis=1)
    hits = targets["tumor_map"][tumor].reshape(shape)[np.arange(shape[0]), peaks] > 0
    return {
        "auc": float(roc_auc_score(tumor, logits["tumor"][:, 0])),
        "kind": float(correct["kind"][tumor].mean()),
        "appearance": float(correct["appearance"].mean()),
        "plane": float(correct["plane"].mean()),
        "pointing": float(hits.mean()),
    }
