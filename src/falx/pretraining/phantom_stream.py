"""A stream of batches of phantoms with the targets of all pretraining tasks.

Batch b of a stream is determined by the seed, b and its image size, whatever the number of worker
processes.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

import cv2
import numpy as np
from numpy import random
from numpy.random import default_rng

from falx.errors import UnusableTraining
from falx.image.render import Region, render_with_region
from falx.parallel import cores, exit_with_parent, terminate_workers
from falx.phantom import (
    APPEARANCES,
    KINDS,
    MIMICS,
    MIN_SIZE,
    PLANE_NAMES,
    Anatomies,
    Phantom,
    draw,
    paint,
)
from falx.recipe import Rendering

STRIDE = 32
"""Pixels of a view per position of the backbone's last features, along each side."""

CELLS = 4
"""Cells of the tumor map per position of the features, along each side."""

_GAMMA = 0.25
"""Standard deviation of the logarithm of a view's gamma."""

_NO_TUMOR = "none"

_OVERSAMPLING = 1.25
"""Size at which slices are painted whose views are cropped, relative to the view."""


@dataclass(frozen=True)
class Batch:
    """Views of phantoms or slices with their targets.

    Attributes:
        views: uint8 (n, size, size).
        targets: by task (see falx.pretraining.tasks), float32. Those of phantoms: tumor (n, 1);
            kind (n, 1 + kinds), the first is no tumor; tumor_map (n, rows, columns, cells), the
            tumor's fraction of each cell of each position of the features, row by row; appearance
            (n, appearances); plane (n, planes); mimics (n, mimics).
    """

    views: np.ndarray
    targets: dict[str, np.ndarray]


def stream(
    seed: Sequence[int],
    sizes: Sequence[int],
    *,
    batch_size: int,
    prefetch: int,
    start: int = 0,
    anatomies: Anatomies | None = None,
) -> Generator[Batch]:
    """Batches start, start + 1, ..., drawn in advance by one process per core.

    Args:
        sizes: side of the views of each batch in pixels; its length is the number of batches.
        batch_size: phantoms per batch, every second one with a tumor.
        prefetch: number of batches that are drawn in advance.
        anatomies: heads to draw; None for procedural ones.

    Raises:
        UnusableTraining: a process was terminated.
    """
    # TensorFlow hangs after a fork, so processes are spawned.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(cores(), mp_context=context, initializer=_init_worker)
    pending: deque[Future[Batch]] = deque()
    try:
        for index in range(start, len(sizes)):
            pending.append(
                pool.submit(draw_batch, (*seed, index), batch_size, sizes[index], anatomies)
            )
            if len(pending) >= prefetch:
                yield _result(pending.popleft())
        while pending:
            yield _result(pending.popleft())
    finally:
        terminate_workers(pool)
        pool.shutdown(cancel_futures=True)


def draw_batch(seed: Sequence[int], n: int, size: int, anatomies: Anatomies | None = None) -> Batch:
    """A batch of phantoms; half of the views show the whole slice, half are cropped to the head."""
    phantoms, views, tumor_maps = [], [], []
    for i in range(n):
        rng = default_rng((*seed, i))
        crop = rng.random() < 0.5
        painted_size = max(round(size * _OVERSAMPLING) if crop else size, MIN_SIZE)
        phantom = paint(draw(rng, i % 2 == 1, anatomies), painted_size, anatomies)
        rendering = Rendering(size=size, crop="head" if crop else "none")
        view, region = render_with_region(phantom.pixels.astype(np.float32) / 255, rendering)
        phantoms.append(phantom)
        views.append(view)
        tumor_maps.append(_tumor_map(phantom.mask, region, size // STRIDE))
    return Batch(np.stack(views), {"tumor_map": np.stack(tumor_maps), **_slice_targets(phantoms)})


def augment_batch(batch: Batch, rng: random.Generator) -> Batch:
    """Other views of the same phantoms: gamma varies by view, and all are flipped or none."""
    exponents = np.exp(rng.normal(0, _GAMMA, (len(batch.views), 1)))
    lookup = np.rint(255 * (np.arange(256) / 255) ** exponents).astype(np.uint8)
    views = np.take_along_axis(lookup, batch.views.reshape(len(lookup), -1), 1)
    views = views.reshape(batch.views.shape)
    if rng.random() < 0.5:
        return Batch(views, batch.targets)
    maps = batch.targets["tumor_map"]
    cells = maps.reshape(*maps.shape[:3], CELLS, CELLS)[:, :, ::-1, :, ::-1]
    flipped = {**batch.targets, "tumor_map": cells.reshape(maps.shape)}
    return Batch(views[:, :, ::-1], flipped)


def _slice_targets(phantoms: list[Phantom]) -> dict[str, np.ndarray]:
    """The targets of all tasks but the tumor map."""
    parameters = [phantom.parameters for phantom in phantoms]
    kinds = [(each.kind or _NO_TUMOR,) for each in parameters]
    appearances = [(each.appearance,) for each in parameters]
    planes = [(each.plane,) for each in parameters]
    mimics = [each.mimics for each in parameters]
    return {
        "tumor": np.array([[bool(each.kind)] for each in parameters], np.float32),
        "kind": _multi_hot(kinds, (_NO_TUMOR, *KINDS)),
        "appearance": _multi_hot(appearances, tuple(APPEARANCES)),
        "plane": _multi_hot(planes, PLANE_NAMES),
        "mimics": _multi_hot(mimics, MIMICS),
    }


def _multi_hot(labels: Sequence[tuple[str, ...]], classes: tuple[str, ...]) -> np.ndarray:
    """1 for each class among the labels of a phantom: float32 (n, classes)."""
    return np.array([[name in each for name in classes] for each in labels], np.float32)


def _tumor_map(mask: np.ndarray, region: Region, positions: int) -> np.ndarray:
    """The fraction of each cell of a view that a mask covers.

    Args:
        mask: of the slice, bool (height, width).
        region: of the slice that the view shows.
        positions: of the features, along each side.

    Returns:
        float32 (positions, positions, cells).
    """
    height, width = mask.shape
    inside = mask[max(region.top, 0) : region.bottom, max(region.left, 0) : region.right]
    padded = cv2.copyMakeBorder(
        inside.astype(np.float32),
        max(-region.top, 0),
        max(region.bottom - height, 0),
        max(-region.left, 0),
        max(region.right - width, 0),
        cv2.BORDER_CONSTANT,
        value=0,
    )
    side = positions * CELLS
    fractions = cv2.resize(padded, (side, side), interpolation=cv2.INTER_AREA)
    by_position = fractions.reshape(positions, CELLS, positions, CELLS).transpose(0, 2, 1, 3)
    return by_position.reshape(positions, positions, CELLS**2)


def _init_worker() -> None:
    exit_with_parent()
    # An interrupt is meant for the training, which terminates the workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _result(future: Future[Batch]) -> Batch:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise UnusableTraining(
            "A process that draws phantoms was terminated; run the same command again to resume."
        ) from error
