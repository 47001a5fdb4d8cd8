"""Threads for work that releases Python's lock: decoding, hashing, warping."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from falx.progress import Listener, Progress

_CHUNK = 256
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_parallel(
    work: Callable[[_Item], _Result], items: Sequence[_Item], task: str, listener: Listener
) -> Iterator[_Result]:
    """Results in order, computed by a thread a core, a chunk ahead of who takes them.

    Args:
        task: what the listener hears is done.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), _CHUNK):
            for offset, result in enumerate(pool.map(work, items[start : start + _CHUNK]), start=1):
                listener(Progress(task, start + offset, len(items)))
                yield result
