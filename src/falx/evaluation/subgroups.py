"""What predictions are worth in parts of the data: by appearance, by source, by size.

A mean over all slices can hide that one kind of slice fares worse ("factors" in Mitchell et al.,
Model Cards for Model Reporting, FAT* 2019, section 4.3). The factors are what falx knows of any
slice without a network (falx.data.facts) and what the data say of it. Patients are none of them: a
patient is one group, and one group is no sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd

from falx.data.sources import SPLIT_FOLDERS
from falx.evaluation.intervals import Estimate
from falx.evaluation.metrics import score_repeats

LEAST_GROUPS = 10
"""That bear on a number; with fewer, not even all right rules out that 31 % are wrong."""
MOST_NAMES = 8
"""Subgroups of a factor whose values are names; the rarest are taken together."""
NOT_STATED = "not stated"

Parts = dict[str, np.ndarray]
"""The rows of each part, int (rows,); every row is in one of them, and none is empty."""

_TWO = ("accuracy", "sensitivity", "specificity", "roc_auc")
_MORE = ("accuracy", "balanced_accuracy", "roc_auc")


@dataclass(frozen=True)
class Subgroup:
    """One part of the slices.

    Attributes:
        name: such as "large, above 630 pixels".
        n: slices.
        groups: groups among them.
        estimates: metric to estimate; None where fewer than `LEAST_GROUPS` groups bear on it.
    """

    name: str
    n: int
    groups: int
    estimates: dict[str, Estimate | None]

    def departures(self, overall: Mapping[str, Estimate]) -> dict[str, Literal["above", "below"]]:
        """The metrics whose interval excludes the number over all slices, and on which side."""
        found: dict[str, Literal["above", "below"]] = {}
        for name, estimate in self.estimates.items():
            if estimate is None:
                continue
            if estimate.low > overall[name].value:
                found[name] = "above"
            elif estimate.high < overall[name].value:
                found[name] = "below"
        return found


@dataclass(frozen=True)
class Factor:
    """One way to part the slices; every slice is in one subgroup, and none of them is empty."""

    name: str
    subgroups: tuple[Subgroup, ...]


def shown_metrics(classes: Sequence[str]) -> tuple[str, ...]:
    """The metrics of a subgroup."""
    return _TWO if len(classes) == 2 else _MORE


def score_subgroups(
    table: pd.DataFrame,
    labels: np.ndarray,
    probabilities: Sequence[np.ndarray],
    classes: Sequence[str],
    *,
    threshold: Sequence[np.ndarray],
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Factor, ...]:
    """Score every factor's subgroups, each number with its 95 % interval over groups.

    Args:
        table: rows of a catalog.
        labels: class code of each row, int (n,).
        probabilities: of each repeat (see `score_repeats`), float (n, classes).
        classes: their names.
        threshold, resamples, seed: as for `score_repeats`.
    """
    groups = table["group"].to_numpy(np.int64)
    metrics = shown_metrics(classes)

    def scored(name: str, rows: np.ndarray) -> Subgroup:
        found = score_repeats(
            labels[rows], [each[rows] for each in probabilities], groups[rows], classes,
            threshold=[each[rows] for each in threshold], resamples=resamples, seed=seed,
        )  # fmt: skip
        bearing = _bearing(labels[rows], groups[rows], len(classes))
        estimates = {
            metric: found.estimates[metric] if bearing[metric] >= LEAST_GROUPS else None
            for metric in metrics
        }
        return Subgroup(name, found.n, found.groups, estimates)

    return tuple(
        Factor(name, tuple(scored(part, rows) for part, rows in parting(table).items()))
        for name, parting in FACTORS.items()
    )


def _bearing(labels: np.ndarray, groups: np.ndarray, classes: int) -> dict[str, int]:
    """How many groups bear on each metric: for sensitivity, those with positives."""
    of_class = [len(np.unique(groups[labels == code])) for code in range(classes)]
    return {
        "accuracy": len(np.unique(groups)),
        "balanced_accuracy": min(of_class),
        "sensitivity": of_class[1],
        "specificity": of_class[0],
        "roc_auc": min(of_class),
    }


def _thirds(values: pd.Series[float], names: Sequence[str], places: int, unit: str = "") -> Parts:
    """Three parts of about equal size; fewer where many values are equal, one where all are.

    Args:
        values: (n,).
        names: of the lowest, the middle and the highest third.
        places: after the decimal point, of bounds.
        unit: written after a bound.
    """
    numbers = values.to_numpy(float).round(places)
    low, high = np.quantile(numbers, [1 / 3, 2 / 3], method="lower").tolist()
    below = numbers[numbers < numbers.max()]
    if not below.size:
        return {f"{high:.{places}f}{unit}": np.arange(len(numbers))}
    high = min(high, float(below.max()))
    low = min(low, high)
    first, second = f"{low:.{places}f}", f"{high:.{places}f}"
    spans = (f"up to {first}{unit}", f"over {first} up to {second}{unit}", f"over {second}{unit}")
    parts = [f"{name}, {span}" for name, span in zip(names, spans, strict=True)]
    third = np.searchsorted([low, high], numbers, side="left")
    return {part: np.flatnonzero(third == i) for i, part in enumerate(parts) if i in third}


def _named(values: Sequence[str]) -> Parts:
    """A part a name, the commonest first; the rarest of more than `MOST_NAMES` are one part."""
    stated = np.array([value or NOT_STATED for value in values], object)
    counts = Counter(stated.tolist())
    order = sorted(counts, key=lambda name: (-counts[name], name))
    if len(order) > MOST_NAMES:
        rare = order[MOST_NAMES - 1 :]
        rest = f"{len(rare)} others"
        stated[np.isin(stated, rare)] = rest
        order = [*order[: MOST_NAMES - 1], rest]
    return {name: np.flatnonzero(stated == name) for name in order}


def _origin(path: str, label: str) -> str:
    """The folders that a slice lies in, without those that say its class or part."""
    place = PurePosixPath(path)
    folders = [
        name for name in place.parts[:-1] if name != label and name.lower() not in SPLIT_FOLDERS
    ]
    # Where on someone's machine a slice lies is nobody's business, its last folder may be.
    return folders[-1] if place.is_absolute() and folders else "/".join(folders)


FACTORS: dict[str, Callable[[pd.DataFrame], Parts]] = {
    "Image size": lambda table: _thirds(
        table[["height", "width"]].max(axis=1), ("small", "medium", "large"), 0, " pixels"
    ),
    "Brightness": lambda table: _thirds(table["mean"], ("dark", "medium", "bright"), 3),
    "Contrast": lambda table: _thirds(table["spread"], ("low", "medium", "high"), 3),
    "Head shape": lambda table: _thirds(
        np.exp(table["head_aspect"]), ("narrow", "medium", "wide"), 2
    ),
    "File format": lambda table: _named(table["format"].tolist()),
    "Color": lambda table: _named(["in color" if each else "in grey" for each in table["color"]]),
    "Folder": lambda table: _named(
        [_origin(*each) for each in zip(table["path"], table["label"], strict=True)]
    ),
    "Given part": lambda table: _named(table["split"].tolist()),
}
"""What slices are parted by, and how: rows of a catalog to the rows of each part."""
MEANINGS = (
    "Image size is the longer side, brightness the mean and contrast the standard deviation of "
    "grey levels from 0 to 1, head shape the width of the head over its height."
)
