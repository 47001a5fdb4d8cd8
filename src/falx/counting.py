"""How counts are written, with their noun."""

from __future__ import annotations


def count(n: int, noun: str = "", many: str = "") -> str:
    """1 slice, 7,022 slices."""
    written = f"{n:,}"
    return f"{written} {noun if n == 1 else many or noun + 's'}" if noun else written
