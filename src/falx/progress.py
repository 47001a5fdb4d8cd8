"""How long-running functions tell what they are doing, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One step of a task: `done` of `total`, with a short remark such as the current loss."""

    task: str
    done: int
    total: int
    remark: str = ""


Listener = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """The listener that ignores everything."""
