"""The audit: what is wrong with a dataset, before anyone trains on it."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.duplicates import components, equal_pairs
from falx.data.foreign import Foreign, find_foreign
from falx.data.label_check import LabelCheck
from falx.data.shortcuts import FOLDS, Shortcut, probe_shortcuts

Rows = tuple[int, ...]


@dataclass(frozen=True)
class Leak:
    """Slices of one given part that have a twin in another.

    Attributes:
        part, other: names of the parts.
        rows: slices in `part` that share a group with one in `other`.
        identical: how many of them are byte-identical to one there.
        total: slices in `part`.
    """

    part: str
    other: str
    rows: Rows
    identical: int
    total: int


@dataclass(frozen=True)
class Audit:
    """Findings about a dataset; rows are those of `catalog.usable()`, but for `unreadable`.

    Attributes:
        catalog: the whole catalog.
        counts: usable slices of each class.
        unreadable: rows of the whole catalog that can't be used; the reason is in `problem`.
        identical: sets of byte-identical slices, largest first.
        groups: sets of slices that belong together (copies, near-duplicates, one patient).
        distinct: number of groups, those of a single slice included.
        conflicts: groups that carry more than one label.
        leaks: between the parts that the data came in.
        foreign: slices unlike the rest, most first.
        shortcuts: what can be told without the brain; empty where a class has too few groups.
        label_check: what a cross-validation makes of the labels, where there is one.
    """

    catalog: Catalog
    counts: dict[str, int]
    unreadable: Rows
    identical: tuple[Rows, ...]
    groups: tuple[Rows, ...]
    distinct: int
    conflicts: tuple[Rows, ...]
    leaks: tuple[Leak, ...]
    foreign: tuple[Foreign, ...]
    shortcuts: tuple[Shortcut, ...]
    label_check: LabelCheck | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: paths instead of rows."""
        usable, whole = self.catalog.usable().table, self.catalog.table

        def paths(rows: Rows) -> list[str]:
            return [_name(usable, row) for row in rows]

        return {
            "root": str(self.catalog.root),
            "slices": len(usable),
            "classes": self.counts,
            "unreadable": [
                {"path": _name(whole, row), "problem": whole["problem"].iat[row]}
                for row in self.unreadable
            ],
            "identical": [paths(rows) for rows in self.identical],
            "groups": [paths(rows) for rows in self.groups],
            "distinct": self.distinct,
            "conflicts": [paths(rows) for rows in self.conflicts],
            "leaks": [{**asdict(leak), "rows": paths(leak.rows)} for leak in self.leaks],
            "foreign": [
                {"path": _name(usable, item.row), "score": item.score, "reason": item.reason}
                for item in self.foreign
            ],
            "shortcuts": [
                {**asdict(shortcut), "alarming": shortcut.alarming} for shortcut in self.shortcuts
            ],
            "label_check": self._label_check(),
        }

    def mates(self, row: int) -> Rows:
        """The other slices of a slice's group."""
        group = next((rows for rows in self.groups if row in rows), ())
        return tuple(other for other in group if other != row)

    def doubts(self) -> list[dict[str, Any]]:
        """The slices whose label is doubted, ready for JSON; `group` names their group's others."""
        usable = self.catalog.usable().table
        return [
            {
                "path": _name(usable, doubt.row),
                "label": usable["label"].iat[doubt.row],
                "suggested": doubt.suggested,
                "probability": doubt.probability,
                "times": doubt.times,
                "group": [_name(usable, row) for row in self.mates(doubt.row)],
            }
            for doubt in (self.label_check.doubts if self.label_check else ())
        ]

    def _label_check(self) -> dict[str, Any] | None:
        check = self.label_check
        if check is None:
            return None
        return {"checked": check.checked, "repeats": check.repeats, "doubts": self.doubts()}


def audit(catalog: Catalog, *, seed: int = 0, label_check: LabelCheck | None = None) -> Audit:
    """Look for everything that would make numbers on this dataset lie.

    Args:
        label_check: what a cross-validation makes of the labels of the usable slices.
    """
    usable = catalog.usable()
    table, groups, labels = usable.table, usable.groups, usable.labels
    sets = _sets(groups)
    return Audit(
        catalog=catalog,
        counts=usable.counts,
        unreadable=tuple(int(row) for row in np.flatnonzero(catalog.table["problem"] != "")),
        identical=_sets(_identical(table)),
        groups=sets,
        distinct=len(np.unique(groups)),
        conflicts=tuple(rows for rows in sets if len(set(labels[list(rows)])) > 1),
        leaks=_leaks(table, groups),
        foreign=tuple(find_foreign(table)),
        shortcuts=tuple(probe_shortcuts(table, labels, groups, seed=seed))
        if _enough_groups(labels, groups, len(usable.classes))
        else (),
        label_check=label_check,
    )


def _identical(table: pd.DataFrame) -> np.ndarray:
    """The component of each row under equal content and index."""
    keys = table["sha256"] + "/" + table["index"].astype("str")
    return components(len(table), equal_pairs(keys.tolist()))


def _sets(groups: np.ndarray) -> tuple[Rows, ...]:
    """Groups of two rows or more, largest first, then by first row."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    sets = [tuple(int(row) for row in rows) for rows in parts if len(rows) > 1]
    return tuple(sorted(sets, key=lambda rows: (-len(rows), rows)))


def _leaks(table: pd.DataFrame, groups: np.ndarray) -> tuple[Leak, ...]:
    parts = table["split"].to_numpy()
    names = [name for name in ("train", "validation", "test") if (parts == name).any()]
    digests = table["sha256"].to_numpy()
    leaks = []
    for other, part in itertools.combinations(names, 2):
        here, there = np.flatnonzero(parts == part), np.flatnonzero(parts == other)
        shared = here[np.isin(groups[here], groups[there])]
        identical = int(np.isin(digests[here], digests[there]).sum())
        leaks.append(Leak(part, other, tuple(map(int, shared)), identical, len(here)))
    return tuple(leaks)


def _enough_groups(labels: np.ndarray, groups: np.ndarray, classes: int) -> bool:
    return all(len(np.unique(groups[labels == code])) >= FOLDS for code in range(classes))


def _name(table: pd.DataFrame, row: int) -> str:
    """The path of a row, with the index where its file holds several slices."""
    path, index = table["path"].to_numpy()[row], table["index"].to_numpy()[row]
    return path if index == 0 else f"{path}#{index}"
