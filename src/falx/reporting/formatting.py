"""How reports write numbers: estimates with their intervals, percentages, counts, durations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from falx.counting import count as count

if TYPE_CHECKING:
    from falx.statistics import Estimate

MISSING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_GAP = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True)
class Cell:
    """A number and its interval, which is empty where there is none."""

    value: str
    span: str = ""


def cell_of(estimate: Estimate) -> Cell:
    """An estimate, written."""
    return Cell(number(estimate.value), span_of(estimate))


def span_of(estimate: Estimate) -> str:
    """Its interval, or an empty string where that is undefined."""
    return "" if math.isnan(estimate.low) else interval(estimate)


def with_interval(estimate: Estimate, places: int = 3) -> str:
    """0.895 (0.789 to 0.974), or the value alone where the interval is undefined."""
    value = number(estimate.value, places)
    return value if math.isnan(estimate.low) else f"{value} ({interval(estimate, places)})"


def number(value: float | None, places: int = 3) -> str:
    """0.895, or a dash where the number is undefined."""
    if value is None or math.isnan(value):
        return MISSING
    return f"{value:.{places}f}".replace("-", _MINUS)


def digits(estimate: Estimate) -> int:
    """As few as keep value and bounds apart, and what is not 0 or 1 from looking like it."""
    known = {x for x in (estimate.low, estimate.value, estimate.high) if not math.isnan(x)}
    for few in (2, 3):
        rounded = {round(x, few) for x in known}
        if len(rounded) == len(known) and rounded & {0, 1} <= known:
            return few
    return 4


def signed(value: float | None, places: int = 3) -> str:
    """+0.053, or a dash where the number is undefined."""
    sign = "+" if value is not None and value > 0 else ""
    return sign + number(value, places)


def interval(estimate: Estimate, places: int = 3) -> str:
    """0.789 to 0.974, or a dash where a bound is undefined."""
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return MISSING
    return f"{number(estimate.low, places)} to {number(estimate.high, places)}"


def percent(share: float | None) -> str:
    """89 %, with a dash where it is undefined; neither 0 nor 100 % unless it is exactly that."""
    if share is None or math.isnan(share):
        return MISSING
    if 0 < share < 0.0005 or 0.9995 <= share < 1:
        return f"{'<0.1' if share < 0.5 else '>99.9'}{_GAP}%"
    places = 1 if 0 < share < 0.005 or 0.995 <= share < 1 else 0
    return f"{100 * share:.{places}f}{_GAP}%"


def listed(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def first_few(words: list[str], most: int = 3) -> str:
    """a, b, c and 9 more."""
    hidden = len(words) - most
    return ", ".join(words[:most]) + (f" and {count(hidden)} more" if hidden > 0 else "")


def duration(seconds: float) -> str:
    """48 s, 3 min 12 s, 2 h 5 min."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
