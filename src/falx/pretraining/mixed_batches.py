"""Rehearsal: while a backbone is trained on slices, part of each batch is phantoms.

A network that learns a new task forgets an earlier one, unless it keeps training on it (Robins,
Catastrophic Forgetting, Rehearsal and Pseudorehearsal, Connection Science 7, 1995). So each row of
a batch has the targets of either a slice or a phantom.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.random import default_rng

from falx.image import tone
from falx.pretraining.phantom_stream import Batch, augment_batch, stream
from falx.recipe import Pretraining

_DRAW_SEED, _AUGMENT_SEED = 3, 4
"""Second number of the seeds for drawing phantoms and for augmenting them; not those of
falx.pretraining.phantoms, since the backbone may have been trained on its phantoms."""

_PREFETCH = 24
"""Batches of phantoms that are drawn in advance."""


@dataclass(frozen=True)
class MixedBatch:
    """A batch whose rows have targets of different tasks.

    Attributes:
        views: uint8 (n, size, size).
        targets: by task, float32 (n, ...); 0 for rows without a target.
        sample_weights: by task, float32, of each row in the loss; 0 for rows without a target, and
            scaled so that the mean over all rows is the mean over rows with a target.
    """

    views: np.ndarray
    targets: dict[str, np.ndarray]
    sample_weights: dict[str, np.ndarray]


def phantoms_per_batch(batch_size: int, fraction: float) -> int:
    """Number of phantoms in a batch: pairs with and without tumor, and never the whole batch.

    Args:
        batch_size: at least 1.
        fraction: of phantoms, in [0, 1].
    """
    return 2 * min(round(fraction * batch_size / 2), (batch_size - 1) // 2)


def phantom_batches(
    config: Pretraining, sizes: Sequence[int], *, phantoms: int, start: int = 0
) -> Generator[list[Batch]]:
    """The phantoms of steps start, start + 1, ...: one batch each, or none without phantoms.

    Args:
        sizes: side of the views of each step in pixels.
        phantoms: number of them per step.

    Raises:
        UnusableTraining: a process that draws them was terminated.
    """
    if not phantoms:
        yield from ([] for _ in sizes[start:])
        return
    seed = (config.seed, _DRAW_SEED)
    batches = stream(seed, sizes, batch_size=phantoms, prefetch=_PREFETCH, start=start)
    with closing(batches):
        for batch in batches:
            yield [batch]


def augment_gray_levels(phantoms: Batch, config: Pretraining, step: int) -> Batch:
    """Views of phantoms with the same variation of gray levels as those of slices."""
    rng = default_rng((config.seed, _AUGMENT_SEED, step))
    batch = augment_batch(phantoms, rng)
    views = [tone.apply(tone.draw(rng, config.augmentation), view) for view in batch.views]
    return Batch(np.stack(views), batch.targets)


def mix_batches(parts: Sequence[Batch], sample_weights: Sequence[np.ndarray]) -> MixedBatch:
    """One batch of several, each with tasks of its own.

    Args:
        sample_weights: of the rows of each part in the losses of its tasks, (rows,).
    """
    n = sum(len(part.views) for part in parts)
    targets, weights, start = {}, {}, 0
    for part, part_weights in zip(parts, sample_weights, strict=True):
        rows = slice(start, start + len(part.views))
        start = rows.stop
        row_weights = np.zeros(n, np.float32)
        row_weights[rows] = part_weights * (n / len(part.views))
        for task, values in part.targets.items():
            targets[task] = np.zeros((n, *values.shape[1:]), np.float32)
            targets[task][rows] = values
            # Keras broadcasts weights over one more axis only, not over all positions of a map.
            weights[task] = row_weights.reshape(n, *[1] * (values.ndim - 2))
    return MixedBatch(np.concatenate([part.views for part in parts]), targets, weights)
