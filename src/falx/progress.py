"""Progress reports of long-running functions, without knowing who displays them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` steps of a task, with a short detail such as the current loss."""

    task: str
    done: int
    total: int
    detail: str = ""


Listener = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """The listener that ignores everything."""
