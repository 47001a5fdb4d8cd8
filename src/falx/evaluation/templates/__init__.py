"""The pages that falx writes: one file each, and how numbers are written in them.

Templates loop and choose, no more; everything that they show comes ready from Python. An HTML page
needs nothing beside it: pictures are data URIs, and its own policy forbids scripts and the network.
"""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

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
    write_whole(path, fill(template, **content))


def fill(template: str, /, **content: Any) -> str:
    """What a template makes of its content."""
    # A file name that is not valid Unicode must not keep a page from being written.
    page = _environment().get_template(template).render(**content)
    return page.encode("utf-8", "replace").decode("utf-8")


def write_whole(path: Path, page: str) -> None:
    """Write a page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(page, "utf-8")
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


def markdown(text: str) -> str:
    """Text that Markdown, in a table too, shows as it is (CommonMark 0.31, 2.4)."""
    return re.sub(r"[\\`*_\[\]<>|~$]|&(?=[#\w])", r"\\\g<0>", _on_one_line(text))


def markdown_code(text: str, *, in_table: bool = False) -> str:
    """Text in a code span, behind more backticks than it holds.

    In a table a bar needs a backslash even there, else it must have none (GitHub Flavored Markdown,
    4.10).
    """
    plain = _on_one_line(text)
    plain = plain.replace("|", r"\|") if in_table else plain
    fence = "`" * (_longest_run(plain) + 1)
    space = " " if "`" in plain else ""
    return f"{fence}{space}{plain}{space}{fence}"


def markdown_listing(text: str) -> str:
    """Text in a code block, behind longer fences than it holds."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _on_one_line(text: str) -> str:
    return " ".join(text.split("\n")).replace("\r", " ")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__name__, "."),
        autoescape=select_autoescape(disabled_extensions=("md.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["disclaimer"] = NOTICE
    environment.filters.update(
        number=number, interval=interval, percent=percent, count=count, duration=duration,
        markdown=markdown, markdown_code=markdown_code, markdown_listing=markdown_listing,
    )  # fmt: skip
    return environment
