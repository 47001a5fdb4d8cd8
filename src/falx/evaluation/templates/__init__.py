"""The pages that falx writes: one HTML file each, and how numbers are written in them.

Templates loop and choose, no more; everything that they show comes ready from Python. A page needs
nothing beside it: pictures are data URIs, and its own policy forbids scripts and the network.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from falx.notice import NOTICE

if TYPE_CHECKING:
    from pathlib import Path

    from falx.evaluation.intervals import Estimate

MISSING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_GAP = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True)
class Mark:
    """An interval drawn on a scale from 0 to 1; places are percentages of the width."""

    value: float
    low: float
    high: float
    words: str


def write_page(path: Path, template: str, /, **content: Any) -> None:
    """Fill a template and write it, whole or not at all."""
    page = _environment().get_template(template).render(**content)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.partial")
    # A file name that is not valid Unicode must not keep a page from being written.
    temporary.write_text(page, "utf-8", errors="replace")
    temporary.replace(path)


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


def count(n: int, noun: str = "", many: str = "") -> str:
    """1 slice, 7,022 slices."""
    written = f"{n:,}"
    return f"{written} {noun if n == 1 else many or noun + 's'}" if noun else written


def listed(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def duration(seconds: float) -> str:
    """48 s, 3 min 12 s, 2 h 5 min."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def mark(estimate: Estimate) -> Mark | None:
    """The drawing of an estimate in [0, 1], or None where there is nothing to draw."""
    values = (estimate.value, estimate.low, estimate.high)
    if any(math.isnan(value) or not 0 <= value <= 1 for value in values):
        return None
    words = f"{number(estimate.value)}, 95 % interval {interval(estimate)}, on a scale from 0 to 1"
    value, low, high = (round(100 * value, 2) for value in values)
    return Mark(value, low, high, words)


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as an address that holds them; `kind` is "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__name__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["disclaimer"] = NOTICE
    environment.filters.update(
        number=number, interval=interval, percent=percent, count=count, duration=duration
    )
    return environment
