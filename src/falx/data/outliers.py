"""Outliers of a dataset: other organs, other planes, other kinds of image.

A few descriptors of the head (aspect ratio, symmetry, gray level by distance from the center) are
compared with their distribution over the dataset. The most extreme one is reported as the reason,
so that a person can judge it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from falx.data.facts import RINGS

MAX_OUTLIERS = 10
_TAIL = 0.05


@dataclass(frozen=True)
class Outlier:
    """An outlier.

    Attributes:
        row: its row in the catalog.
        score: distance from the median of the dataset, relative to that of the 5th or 95th
            percentile; 1 is the edge of the middle 90 %.
        reason: its most extreme descriptor, in words with numbers.
    """

    row: int
    score: float
    reason: str


def find_outliers(table: pd.DataFrame, max_outliers: int = MAX_OUTLIERS) -> list[Outlier]:
    """The most extreme outliers, by falling score.

    Args:
        table: usable rows of a catalog.
    """
    values = np.column_stack(
        [table["head_aspect"], table["symmetry"], np.array(table["rings"].tolist())]
    )
    scores = _deviations(values)
    most_extreme = np.abs(scores).argmax(axis=1)
    largest = np.abs(scores).max(axis=1)
    order = np.argsort(-largest, kind="stable")[:max_outliers]
    return [
        Outlier(int(row), float(largest[row]), _reason(int(most_extreme[row]), values[row], values))
        for row in order
        if largest[row] > 1
    ]


def _deviations(values: np.ndarray) -> np.ndarray:
    """Each column's distance from its median, relative to that of its 5th or 95th percentile."""
    low, median, high = np.quantile(values, [_TAIL, 0.5, 1 - _TAIL], axis=0)
    tail = np.where(values > median, high - median, median - low)
    scaled: np.ndarray = (values - median) / np.maximum(tail, 1e-6)
    return scaled


def _reason(column: int, descriptors: np.ndarray, values: np.ndarray) -> str:
    value, (low, high) = descriptors[column], np.quantile(values[:, column], [_TAIL, 1 - _TAIL])
    if column == 0:
        low, high = np.exp([low, high])
        return f"{np.exp(value):.2f} times as wide as high, usually {low:.2f} to {high:.2f}"
    if column == 1:
        return f"symmetry {value:.2f}, usually {low:.2f} to {high:.2f}"
    ring = ("at the center", "around the center", "towards the rim", "at the rim")[column - 2]
    assert column - 2 < RINGS
    level = "brighter" if value > high else "darker"
    return f"{level} {ring} than usual ({value:+.2f}, usually {low:+.2f} to {high:+.2f})"
