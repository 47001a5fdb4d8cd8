"""Rehearsal: while a backbone learns from slices, a part of each batch is phantoms.

A network that learns something new forgets what it knew, unless it goes on practicing that (Robins,
Catastrophic Forgetting, Rehearsal and Pseudorehearsal, Connection Science 7, 1995). So a row of a
batch is asked either for the class of a slice or for all that is known of a phantom.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.random import default_rng

from falx.image import tone
from falx.recipe import Pretraining
from falx.training.phantom_stream import Batch, altered, stream

_DRAWN, _ALTERED = 3, 4
"""What is drawn by a seed: phantoms, and their views. Numbers that falx.training.pretrain has no
use for, whose phantoms the backbone may know."""

_AHEAD = 24
"""Batches of phantoms that are drawn before they are needed."""


@dataclass(frozen=True)
class Mixture:
    """A batch whose rows are asked different things.

    Attributes:
        views: uint8 (n, size, size).
        answers: by task, float32 (n, ...); 0 where a row is not asked.
        weights: by task, float32, of each row in the loss; 0 where a row is not asked. Those of the
            others are so much larger that the mean over all rows is that over those asked.
    """

    views: np.ndarray
    answers: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]


def phantoms_in(batch: int, share: float) -> int:
    """How many of a batch are phantoms: in pairs, with and without tumor; never the whole batch.

    Args:
        batch: rows, at least 1.
        share: of them, in [0, 1].
    """
    return 2 * min(round(share * batch / 2), (batch - 1) // 2)


def rehearsed(
    course: Pretraining, sizes: Sequence[int], *, phantoms: int, first: int = 0
) -> Generator[list[Batch]]:
    """What is rehearsed in steps first, first + 1, ...: a batch of phantoms each, if there are any.

    Args:
        sizes: side of the views of each step, in pixels.
        phantoms: in each batch; 0 for none, and no batch.

    Raises:
        UnusableTraining: a process that draws them ended before its time.
    """
    if not phantoms:
        yield from ([] for _ in sizes[first:])
        return
    seed = (course.seed, _DRAWN)
    with closing(stream(seed, sizes, batch=phantoms, ahead=_AHEAD, first=first)) as drawn:
        for batch in drawn:
            yield [batch]


def retouched(phantoms: Batch, course: Pretraining, step: int) -> Batch:
    """Views of the phantoms of a step as varied in grey levels as those of slices are."""
    rng = default_rng((course.seed, _ALTERED, step))
    batch = altered(phantoms, rng)
    views = [tone.apply(tone.draw(rng, course.augmentation), view) for view in batch.views]
    return Batch(np.stack(views), batch.answers)


def mixed(parts: Sequence[Batch], importance: Sequence[np.ndarray]) -> Mixture:
    """One batch of several that are asked different tasks.

    Args:
        importance: of the rows of each part in the losses of its tasks: (rows,).
    """
    n = sum(len(part.views) for part in parts)
    answers, weights, start = {}, {}, 0
    for part, counts in zip(parts, importance, strict=True):
        rows = slice(start, start + len(part.views))
        start = rows.stop
        weight = np.zeros(n, np.float32)
        weight[rows] = counts * (n / len(part.views))
        for name, given in part.answers.items():
            answers[name] = np.zeros((n, *given.shape[1:]), np.float32)
            answers[name][rows] = given
            # Keras spreads a weight over one axis more, not over the places of a view.
            weights[name] = weight.reshape(n, *[1] * (given.ndim - 2))
    return Mixture(np.concatenate([part.views for part in parts]), answers, weights)
