"""A stream of batches, drawn in advance by worker processes.

Batch b of a stream is determined by the seed and b, whatever the number of processes.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import cv2

from falx.errors import UnusableTraining
from falx.parallel import cores, exit_with_parent, terminate_workers
from falx.pretraining.batch import Batch
from falx.pretraining.mixture import Mixture

_PREFETCH = 24
"""Batches that are drawn in advance."""


def stream(seed: Sequence[int], mixtures: Sequence[Mixture], *, start: int = 0) -> Generator[Batch]:
    """Batches start, start + 1, ..., of the mixture of each.

    Raises:
        BadInput: a label map can't be used.
        UnusableTraining: a process was terminated.
    """
    # TensorFlow hangs after a fork, so processes are spawned.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(cores(), mp_context=context, initializer=_init_worker)
    pending: deque[Future[Batch]] = deque()
    try:
        for index in range(start, len(mixtures)):
            pending.append(pool.submit(mixtures[index].draw, (*seed, index)))
            if len(pending) >= _PREFETCH:
                yield _result(pending.popleft())
        while pending:
            yield _result(pending.popleft())
    finally:
        terminate_workers(pool)
        pool.shutdown(cancel_futures=True)


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
