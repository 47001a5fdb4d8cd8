"""Rehearsal: while a backbone is trained on slices, part of each batch is phantoms.

A network that learns a new task forgets an earlier one, unless it keeps training on it (Robins,
Catastrophic Forgetting, Rehearsal and Pseudorehearsal, Connection Science 7, 1995). So each row of
a batch has the targets of either a slice or a phantom.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

from falx.pretraining.batch import Batch
from falx.pretraining.mixture import Mixture
from falx.pretraining.stream import stream
from falx.recipe import Augmentation, Pretraining

_SEED = 3
"""Second number of the seeds; not those of falx.pretraining.localizing, since the backbone may have
been trained on its phantoms."""


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

    Their gray levels vary as those of slices do, and they are mirrored as often.

    Args:
        sizes: side of the views of each step in pixels.
        phantoms: number of them per step.

    Raises:
        UnusableTraining: a process that draws them was terminated.
    """
    if not phantoms:
        yield from ([] for _ in sizes[start:])
        return
    still = dict.fromkeys(("rotation", "shift_x", "shift_y", "shear", "zoom"), 0.0)
    levels = Augmentation(**{**config.augmentation.model_dump(), **still})
    mixtures = {size: Mixture(size, phantoms, augmentation=levels) for size in set(sizes)}
    batches = stream((config.seed, _SEED), [mixtures[size] for size in sizes], start=start)
    with closing(batches):
        for batch in batches:
            yield [batch]
