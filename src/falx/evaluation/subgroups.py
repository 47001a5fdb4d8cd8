"""Performance in subgroups of the slices: by appearance, source and size.

An overall number can hide that one kind of slice does worse ("factors" in Mitchell et al., Model
Cards for Model Reporting, FAT* 2019, section 4.3). Factors are read from the slice without a
network (falx.data.facts) or from the catalog. Patients are no factor: a patient is one group, too
few for an interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd

from falx.data.patient_folders import SPLIT_FOLDERS
from falx.evaluation.metrics import score_repeats
from falx.statistics import MIN_GROUPS, RESAMPLES, Estimate

MAX_SUBGROUPS = 8
"""Of a categorical factor; the rarest categories are pooled."""
NOT_STATED = "not stated"

SubgroupRows = dict[str, np.ndarray]
"""Subgroup to its rows, int (rows,); every row is in exactly one, and none is empty."""

_BINARY_METRICS = ("accuracy", "sensitivity", "specificity", "roc_auc")
_MULTICLASS_METRICS = ("accuracy", "balanced_accuracy", "roc_auc")


@dataclass(frozen=True)
class Subgroup:
    """Slices with one value of a factor.

    Attributes:
        name: such as "large, over 630 pixels".
        n: slices.
        groups: groups among them.
        estimates: metric to estimate; None where fewer than `MIN_GROUPS` groups contribute.
    """

    name: str
    n: int
    groups: int
    estimates: dict[str, Estimate | None]

    def deviations(self, overall: Mapping[str, Estimate]) -> dict[str, Literal["above", "below"]]:
        """The metrics whose interval lies entirely above or below the value over all slices."""
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
    """A partition of the slices into subgroups, none of which is empty."""

    name: str
    subgroups: tuple[Subgroup, ...]


def subgroup_metrics(classes: Sequence[str]) -> tuple[str, ...]:
    """The metrics that are computed for a subgroup."""
    return _BINARY_METRICS if len(classes) == 2 else _MULTICLASS_METRICS


def score_subgroups(
    table: pd.DataFrame,
    labels: np.ndarray,
    probabilities: Sequence[np.ndarray],
    classes: Sequence[str],
    *,
    threshold: Sequence[np.ndarray],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Factor, ...]:
    """Score the subgroups of every factor, with 95 % confidence intervals over groups.

    Args:
        table: rows of a catalog.
        labels: class code of each row, int (n,).
        probabilities: of each repeat (see `score_repeats`), float (n, classes).
        classes: their names.
        threshold, resamples, seed: as for `score_repeats`.
    """
    groups = table["group"].to_numpy(np.int64)
    metrics = subgroup_metrics(classes)

    def scored(name: str, rows: np.ndarray) -> Subgroup:
        found = score_repeats(
            labels[rows], [each[rows] for each in probabilities], groups[rows], classes,
            threshold=[each[rows] for each in threshold], resamples=resamples, seed=seed,
        )  # fmt: skip
        contributing = _contributing_groups(labels[rows], groups[rows], len(classes))
        estimates = {
            metric: found.estimates[metric] if contributing[metric] >= MIN_GROUPS else None
            for metric in metrics
        }
        return Subgroup(name, found.n, found.groups, estimates)

    return tuple(
        Factor(name, tuple(scored(part, rows) for part, rows in partition(table).items()))
        for name, partition in FACTORS.items()
    )


def _contributing_groups(labels: np.ndarray, groups: np.ndarray, classes: int) -> dict[str, int]:
    """How many groups contribute to each metric: to sensitivity, those with positives."""
    of_class = [len(np.unique(groups[labels == code])) for code in range(classes)]
    return {
        "accuracy": len(np.unique(groups)),
        "balanced_accuracy": min(of_class),
        "sensitivity": of_class[1],
        "specificity": of_class[0],
        "roc_auc": min(of_class),
    }


def _tertiles(
    values: pd.Series[float], names: Sequence[str], places: int, unit: str = ""
) -> SubgroupRows:
    """Three subgroups of about equal size; fewer where many values are tied, one where all are.

    Args:
        values: (n,).
        names: of the lowest, the middle and the highest tertile.
        places: decimal places of the bounds.
        unit: appended to a bound.
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
    subgroups = [f"{name}, {span}" for name, span in zip(names, spans, strict=True)]
    tertile = np.searchsorted([low, high], numbers, side="left")
    return {name: np.flatnonzero(tertile == i) for i, name in enumerate(subgroups) if i in tertile}


def _categories(values: Sequence[str]) -> SubgroupRows:
    """One subgroup per category, the most frequent first; the rarest are pooled."""
    stated = np.array([value or NOT_STATED for value in values], object)
    counts = Counter(stated.tolist())
    order = sorted(counts, key=lambda name: (-counts[name], name))
    if len(order) > MAX_SUBGROUPS:
        rare = order[MAX_SUBGROUPS - 1 :]
        rest = f"{len(rare)} others"
        stated[np.isin(stated, rare)] = rest
        order = [*order[: MAX_SUBGROUPS - 1], rest]
    return {name: np.flatnonzero(stated == name) for name in order}


def _origin(path: str, label: str) -> str:
    """The folders of a slice, without those that name its class or split."""
    file = PurePosixPath(path)
    folders = [
        name for name in file.parts[:-1] if name != label and name.lower() not in SPLIT_FOLDERS
    ]
    # An absolute path would disclose where on a machine the data lie.
    return folders[-1] if file.is_absolute() and folders else "/".join(folders)


FACTORS: dict[str, Callable[[pd.DataFrame], SubgroupRows]] = {
    "Image size": lambda table: _tertiles(
        table[["height", "width"]].max(axis=1), ("small", "medium", "large"), 0, " pixels"
    ),
    "Brightness": lambda table: _tertiles(table["mean"], ("dark", "medium", "bright"), 3),
    "Contrast": lambda table: _tertiles(table["standard_deviation"], ("low", "medium", "high"), 3),
    "Head shape": lambda table: _tertiles(
        np.exp(table["head_aspect"]), ("narrow", "medium", "wide"), 2
    ),
    "File format": lambda table: _categories(table["format"].tolist()),
    "Color": lambda table: _categories(
        ["color" if each else "grayscale" for each in table["color"]]
    ),
    "Source": lambda table: _categories(table["source"].tolist()),
    "Folder": lambda table: _categories(
        [_origin(*each) for each in zip(table["path"], table["label"], strict=True)]
    ),
    "Original split": lambda table: _categories(table["split"].tolist()),
}
"""Factor to its partition of a catalog's rows into subgroups."""
FACTOR_DEFINITIONS = (
    "Image size is the longer side, brightness the mean and contrast the standard deviation of "
    "gray levels from 0 to 1, head shape the width of the head divided by its height."
)
