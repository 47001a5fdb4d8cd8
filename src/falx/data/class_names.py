"""What class names mean: which one is "no tumor", and which of two is the positive class."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from falx.errors import BadInput

logger = logging.getLogger(__name__)

NEGATIVE = frozenset(
    {"no", "none", "negative", "normal", "healthy", "control", "0", "false"}
    | {
        f"{no}{gap}{tumor}"
        for no in ("no", "without")
        for gap in ("", "_", "-")
        for tumor in ("tumor", "tumors", "tumour", "tumours")
    }
)
POSITIVE = frozenset(
    {"yes", "positive", "abnormal", "malignant", "1", "true"}
    | {"tumor", "tumors", "tumour", "tumours", "with_tumor", "with_tumour"}
)


def order_classes(names: Iterable[str], positive: str | None = None) -> tuple[str, ...]:
    """Class names in order of their codes: "no tumor" first, the positive class last.

    Args:
        positive: the positive class of two; by default, the names decide.

    Raises:
        BadInput: `positive` is not a class, or there are more than two.
    """
    ordered = sorted(names, key=lambda name: (_rank(name), name.lower(), name))
    if positive is None:
        if len(ordered) == 2 and _rank(ordered[0]) == _rank(ordered[1]):
            logger.warning(
                "The class names don't tell which one is positive; taking '%s' (set --positive).",
                ordered[1],
            )
        return tuple(ordered)
    if positive not in ordered:
        raise BadInput(f"There is no class '{positive}'; the data have {', '.join(ordered)}.")
    if len(ordered) != 2:
        raise BadInput(f"--positive is for two classes, and the data have {', '.join(ordered)}.")
    return tuple(sorted(ordered, key=lambda name: name == positive))


def has_negative(classes: tuple[str, ...]) -> bool:
    """Whether the first class is the negative one: always of two, else by its name."""
    return len(classes) == 2 or means_none(classes[0])


def means_none(name: str) -> bool:
    """Whether the name of a class means that there is no tumor."""
    return _rank(name) == 0


def means_any(name: str) -> bool:
    """Whether the name of a class means a tumor of any kind."""
    return _rank(name) == 3


def _rank(name: str) -> int:
    plain = name.strip().lower().replace(" ", "_")
    if plain in NEGATIVE:
        return 0
    return {"benign": 1}.get(plain, 3 if plain in POSITIVE else 2)
