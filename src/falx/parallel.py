"""Threads for work that releases Python's lock: decoding, hashing, warping; and processes."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import parent_process
from typing import TypeVar

from falx.progress import Listener, Progress

_CHUNK = 256
"""Items under way at most, so that results don't pile up before who takes them."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_parallel(
    work: Callable[[_Item], _Result], items: Sequence[_Item], task: str, listener: Listener
) -> Iterator[_Result]:
    """Results in order, computed by a thread a core.

    Args:
        task: what the listener hears is done.
    """
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(items), _CHUNK):
            for offset, result in enumerate(pool.map(work, items[start : start + _CHUNK]), start=1):
                listener(Progress(task, start + offset, len(items)))
                yield result


def ahead(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Results in order, each computed by a thread while the one before it is being used."""
    with ThreadPoolExecutor(1) as pool:
        coming: deque[Future[_Result]] = deque()
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > 1:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def stop(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool, which would otherwise finish all that was handed to them."""
    for process in list(pool._processes.values()):
        process.terminate()


def end_with_parent() -> None:
    """End this process when the one that began it is gone, however that ended."""
    parent = parent_process()
    assert parent is not None

    def wait_for_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()
