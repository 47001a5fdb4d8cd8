"""Slices unlike the rest of their set: other organs, other planes, other kinds of image.

A few descriptors of the head (proportions, symmetry, grey from the center outwards) are compared
with their distribution over the set. The descriptor that stands out most names the reason, so
that a person can judge it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from falx.data.facts import RINGS

NAMED = 10
_TAIL = 0.05


@dataclass(frozen=True)
class Foreign:
    """A slice that stands out.

    Attributes:
        row: its row in the catalog.
        score: distance from the median of the set, in units of the distance of the 5th or 95th
            percentile; 1 is the edge of the middle 90 %.
        reason: what stands out, in words with numbers.
    """

    row: int
    score: float
    reason: str


def find_foreign(table: pd.DataFrame, count: int = NAMED) -> list[Foreign]:
    """The slices that stand out most, most first.

    Args:
        table: usable rows of a catalog.
    """
    values = np.column_stack(
        [table["head_aspect"], table["symmetry"], np.array(table["rings"].tolist())]
    )
    scores = _deviations(values)
    worst = np.abs(scores).argmax(axis=1)
    strength = np.abs(scores).max(axis=1)
    order = np.argsort(-strength, kind="stable")[:count]
    return [
        Foreign(int(row), float(strength[row]), _reason(int(worst[row]), values[row], values))
        for row in order
        if strength[row] > 1
    ]


def _deviations(values: np.ndarray) -> np.ndarray:
    """Each column's distance from its median, scaled on either side by its own tail."""
    low, median, high = np.quantile(values, [_TAIL, 0.5, 1 - _TAIL], axis=0)
    tail = np.where(values > median, high - median, median - low)
    scaled: np.ndarray = (values - median) / np.maximum(tail, 1e-6)
    return scaled


def _reason(number: int, slice_: np.ndarray, values: np.ndarray) -> str:
    value, usual = slice_[number], np.quantile(values[:, number], [_TAIL, 1 - _TAIL])
    if number == 0:
        low, high = np.exp(usual)
        return f"{np.exp(value):.2f} times as wide as high, usually {low:.2f} to {high:.2f}"
    if number == 1:
        return f"symmetry {value:.2f}, usually {usual[0]:.2f} to {usual[1]:.2f}"
    where = ("at the center", "around the center", "towards the rim", "at the rim")[number - 2]
    assert number - 2 < RINGS
    side = "brighter" if value > usual[1] else "darker"
    return f"{side} {where} than usual ({value:+.2f}, usually {usual[0]:+.2f} to {usual[1]:+.2f})"
