"""An endless stream of phantoms, as a network is shown them, with all that can be asked of them.

Batch b of a stream depends on seed, b and its size alone, however many processes draw it.
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

from falx.data.phantom import (
    APPEARANCES,
    KINDS,
    LEAST_SIZE,
    MIMICS,
    PLANES,
    Phantom,
    draw,
    paint,
)
from falx.errors import UnusableTraining
from falx.image.render import Region, render_with_region
from falx.parallel import cores, end_with_parent, stop
from falx.recipe import Rendering

STRIDE = 32
"""Pixels of a view in one place of the backbone's last features."""

CELLS = 4
"""Cells of a place, along each side, of which it is asked whether there is tumor."""

_GAMMA = 0.25
"""Standard deviation of the logarithm of a view's gamma."""

_NONE = "none"

_LARGER = 1.25
"""How much larger slices are painted than views that are cut from them."""


@dataclass(frozen=True)
class Batch:
    """Some slices, phantoms if nothing else is said, and what is true of them.

    Attributes:
        views: uint8 (n, size, size).
        answers: by task (see falx.training.tasks), float32; of phantoms: tumor (n, 1); kind
            (n, 1 + kinds), first that of no tumor; where (n, rows, columns, cells), the tumor's
            share of the cells of each place of the features, row by row; appearance
            (n, appearances); plane (n, planes); mimics (n, mimics).
    """

    views: np.ndarray
    answers: dict[str, np.ndarray]


def stream(
    seed: Sequence[int], sizes: Sequence[int], *, batch: int, ahead: int, first: int = 0
) -> Generator[Batch]:
    """Batches first, first + 1, ..., drawn ahead by a process a core.

    Args:
        sizes: side of the views of each batch, in pixels; as many as there are batches.
        batch: phantoms in each, every second one with a tumor.
        ahead: how many batches.

    Raises:
        UnusableTraining: a process ended before its time.
    """
    # A forked TensorFlow hangs, so processes begin anew.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(cores(), mp_context=context, initializer=_begin)
    under_way: deque[Future[Batch]] = deque()
    try:
        for number in range(first, len(sizes)):
            under_way.append(pool.submit(draw_batch, (*seed, number), batch, sizes[number]))
            if len(under_way) >= ahead:
                yield _result(under_way.popleft())
        while under_way:
            yield _result(under_way.popleft())
    finally:
        stop(pool)
        pool.shutdown(cancel_futures=True)


def draw_batch(seed: Sequence[int], n: int, size: int) -> Batch:
    """A batch of phantoms; half of the views show the whole slice, half are cut to the head."""
    phantoms, views, masks = [], [], []
    for i in range(n):
        rng = default_rng((*seed, i))
        crop = rng.random() < 0.5
        painted = max(round(size * _LARGER) if crop else size, LEAST_SIZE)
        phantom = paint(draw(rng, i % 2 == 1), painted)
        rendering = Rendering(size=size, crop="head" if crop else "none")
        view, region = render_with_region(phantom.pixels.astype(np.float32) / 255, rendering)
        phantoms.append(phantom)
        views.append(view)
        masks.append(_cells(phantom.mask, region, size // STRIDE))
    return Batch(np.stack(views), {"where": np.stack(masks), **_answers(phantoms)})


def altered(batch: Batch, rng: random.Generator) -> Batch:
    """Other views of the same phantoms: with another gamma, and mirrored, all or none."""
    exponents = np.exp(rng.normal(0, _GAMMA, (len(batch.views), 1)))
    levels = np.rint(255 * (np.arange(256) / 255) ** exponents).astype(np.uint8)
    views = np.take_along_axis(levels, batch.views.reshape(len(levels), -1), 1)
    views = views.reshape(batch.views.shape)
    if rng.random() < 0.5:
        return Batch(views, batch.answers)
    where = batch.answers["where"]
    cells = where.reshape(*where.shape[:3], CELLS, CELLS)[:, :, ::-1, :, ::-1]
    return Batch(views[:, :, ::-1], {**batch.answers, "where": cells.reshape(where.shape)})


def _answers(phantoms: list[Phantom]) -> dict[str, np.ndarray]:
    drawn = [phantom.parameters for phantom in phantoms]
    kinds = [[each.tumor.body.kind if each.tumor else _NONE] for each in drawn]
    return {
        "tumor": np.array([[each.tumor is not None] for each in drawn], np.float32),
        "kind": _marked(kinds, (_NONE, *KINDS)),
        "appearance": _marked([[each.look.appearance] for each in drawn], tuple(APPEARANCES)),
        "plane": _marked([[each.head.plane] for each in drawn], tuple(PLANES)),
        "mimics": _marked([[m.kind for m in each.head.mimics] for each in drawn], MIMICS),
    }


def _marked(found: list[list[str]], names: tuple[str, ...]) -> np.ndarray:
    """One where a name is found: float32 (n, names)."""
    return np.array([[name in some for name in names] for some in found], np.float32)


def _cells(mask: np.ndarray, region: Region, places: int) -> np.ndarray:
    """The share of a mask in each cell of a view of it: float32 (places, places, cells)."""
    height, width = mask.shape
    inside = mask[max(region.top, 0) : region.bottom, max(region.left, 0) : region.right]
    shown = cv2.copyMakeBorder(
        inside.astype(np.float32),
        max(-region.top, 0),
        max(region.bottom - height, 0),
        max(-region.left, 0),
        max(region.right - width, 0),
        cv2.BORDER_CONSTANT,
        value=0,
    )
    side = places * CELLS
    shares = cv2.resize(shown, (side, side), interpolation=cv2.INTER_AREA)
    by_place = shares.reshape(places, CELLS, places, CELLS).transpose(0, 2, 1, 3)
    return by_place.reshape(places, places, CELLS**2)


def _begin() -> None:
    end_with_parent()
    # Who interrupts means the training, which ends the processes itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _result(future: Future[Batch]) -> Batch:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise UnusableTraining(
            "A process that draws phantoms ended before its time; run the same command again: it "
            "goes on where it stopped."
        ) from error
