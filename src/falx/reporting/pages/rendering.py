"""The pages that falx writes: one file each.

Templates loop and choose, no more; everything that they show comes ready from Python. An HTML page
needs nothing beside it: pictures are data URIs, and its own policy forbids scripts and the network.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from falx.notice import NOTICE
from falx.reporting.formatting import count, duration, interval, number, percent
from falx.reporting.markdown import markdown, markdown_code, markdown_listing
from falx.serialization import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from falx.statistics import Estimate


@dataclass(frozen=True)
class IntervalMark:
    """An interval drawn on a scale from 0 to 1; places are percentages of the width."""

    value: float
    low: float
    high: float
    words: str


def write_page(path: Path, template: str, /, **content: Any) -> None:
    """Fill a template and write the page, whole or not at all."""
    write_whole(path, fill(template, **content))


def fill(template: str, /, **content: Any) -> str:
    """A template, filled with its content."""
    # A file name that is not valid Unicode must not keep a page from being written.
    page = _environment().get_template(template).render(**content)
    return page.encode("utf-8", "replace").decode("utf-8")


def mark(estimate: Estimate) -> IntervalMark | None:
    """The mark of an estimate in [0, 1], or None where it is undefined or out of range."""
    values = (estimate.value, estimate.low, estimate.high)
    if any(math.isnan(value) or not 0 <= value <= 1 for value in values):
        return None
    words = (
        f"{number(estimate.value)}, 95 % confidence interval {interval(estimate)}, on a scale from "
        "0 to 1"
    )
    value, low, high = (round(100 * value, 2) for value in values)
    return IntervalMark(value, low, high, words)


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as an address that holds them; `kind` is "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "templates"),
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
