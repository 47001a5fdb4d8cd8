"""A number and its interval, as a table of a page shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from falx.evaluation.intervals import Estimate
from falx.evaluation.templates import interval, number


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
