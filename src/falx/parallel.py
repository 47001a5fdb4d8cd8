"""Threads for work that releases the GIL (decoding, hashing, warping), and worker processes."""

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
"""Maximum number of items in flight, so that results don't pile up ahead of their consumer."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def cores() -> int:
    """Number of CPU cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_parallel(
    work: Callable[[_Item], _Result], items: Sequence[_Item], task: str, listener: Listener
) -> Iterator[_Result]:
    """Results in order, computed by one thread per core.

    Args:
        task: name under which progress is reported.
    """
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(items), _CHUNK):
            for offset, result in enumerate(pool.map(work, items[start : start + _CHUNK]), start=1):
                listener(Progress(task, start + offset, len(items)))
                yield result


def prefetch(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Results in order, each computed in a thread while the previous one is being used."""
    with ThreadPoolExecutor(1) as pool:
        pending: deque[Future[_Result]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def terminate_workers(pool: ProcessPoolExecutor) -> None:
    """Terminate the processes of a pool, which would otherwise finish all submitted work."""
    for process in list(pool._processes.values()):
        process.terminate()


def exit_with_parent() -> None:
    """Make this process exit as soon as its parent process is gone, however that ended."""
    parent = parent_process()
    assert parent is not None

    def wait_for_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()
