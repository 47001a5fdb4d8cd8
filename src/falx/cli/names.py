"""Short names of files on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def shortest_tails(paths: Iterable[Path]) -> dict[Path, str]:
    """The last parts of each path, as few as tell it from all others."""
    open_ = set(paths)
    every, found, length = list(open_), {}, 1
    while open_:
        tails = Counter(path.parts[-length:] for path in every)
        for path in list(open_):
            tail = path.parts[-length:]
            if tails[tail] == 1 or len(tail) == len(path.parts):
                found[path] = str(Path(*tail))
                open_.remove(path)
        length += 1
    return found
