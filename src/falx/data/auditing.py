"""The audit: what is wrong with a dataset, before training on it."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.duplicates import components, equal_pairs
from falx.data.label_check import LabelCheck
from falx.data.outliers import Outlier, find_outliers
from falx.data.shortcuts import Shortcut, probe_shortcuts
from falx.notebook import block, table
from falx.serialization import to_json

Rows = tuple[int, ...]
_SHOWN = 10


@dataclass(frozen=True)
class Leak:
    """Leakage between two predefined parts.

    Attributes:
        part, other: names of the parts.
        rows: slices of `part` that share a group with a slice of `other`.
        identical: number of slices of `part` whose file is identical to one of `other`.
        total: number of slices in `part`.
    """

    part: str
    other: str
    rows: Rows
    identical: int
    total: int


@dataclass(frozen=True)
class Audit:
    """Findings about a dataset; rows are those of `catalog.usable()`, except in `unreadable`.

    Attributes:
        catalog: the whole catalog.
        counts: number of usable slices of each class.
        unreadable: rows of the whole catalog that can't be used; the reason is in `problem`.
        identical: sets of byte-identical slices, largest first.
        groups: groups of two slices or more, largest first.
        distinct: number of groups, including those of a single slice.
        conflicts: sets of near-duplicates with more than one label, largest first.
        leaks: between predefined parts.
        outliers: by falling score.
        shortcuts: one per probe; empty if a class has too few groups.
        label_check: by confident learning on a cross-validation, if there is one.
    """

    catalog: Catalog
    counts: dict[str, int]
    unreadable: Rows
    identical: tuple[Rows, ...]
    groups: tuple[Rows, ...]
    distinct: int
    conflicts: tuple[Rows, ...]
    leaks: tuple[Leak, ...]
    outliers: tuple[Outlier, ...]
    shortcuts: tuple[Shortcut, ...]
    label_check: LabelCheck | None = None

    def __repr__(self) -> str:
        found = ", ".join(f"{n} {name}" for name, n in self._numbers() if n)
        return f"Audit({self.catalog.name!r}: {found})"

    def _repr_html_(self) -> str:
        usable = self.catalog.usable().table
        outliers = [(_name(usable, each.row), each.reason) for each in self.outliers[:_SHOWN]]
        shortcuts = [
            (
                each.probe,
                f"{each.auc:.3f} ({each.low:.3f} to {each.high:.3f})",
                "yes" if each.alarming else "no",
            )
            for each in self.shortcuts
        ]
        return block(
            f"Audit of {self.catalog.name}",
            table(("", "number"), self._numbers()),
            table(("shortcut", "ROC AUC by it alone", "alarming"), shortcuts),
            table(("outlier", "reason"), outliers),
        )

    def _numbers(self) -> list[tuple[str, int]]:
        """What was counted, by what it is."""
        return [
            *((f"slices of {label}", n) for label, n in self.counts.items()),
            ("groups", self.distinct),
            ("unusable", len(self.unreadable)),
            ("sets of identical slices", len(self.identical)),
            ("sets of near-duplicates with several labels", len(self.conflicts)),
            ("leaked slices", sum(len(leak.rows) for leak in self.leaks)),
            ("label issues", len(self.label_issues())),
            ("outliers", len(self.outliers)),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Values ready for JSON, with paths instead of rows."""
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
            "outliers": [
                {"path": _name(usable, item.row), "score": item.score, "reason": item.reason}
                for item in self.outliers
            ],
            "shortcuts": [
                to_json({**asdict(shortcut), "alarming": shortcut.alarming})
                for shortcut in self.shortcuts
            ],
            "label_check": self._label_check(),
        }

    def same_group(self, row: int) -> Rows:
        """The other slices of a slice's group."""
        members = next((rows for rows in self.groups if row in rows), ())
        return tuple(other for other in members if other != row)

    def label_issues(self) -> list[dict[str, Any]]:
        """The label issues, ready for JSON; `group` holds the other slices of the group."""
        usable = self.catalog.usable().table
        return [
            {
                "path": _name(usable, issue.row),
                "label": usable["label"].iat[issue.row],
                "suggested": issue.suggested,
                "probability": issue.probability,
                "times": issue.times,
                "group": [_name(usable, row) for row in self.same_group(issue.row)],
            }
            for issue in (self.label_check.label_issues if self.label_check else ())
        ]

    def _label_check(self) -> dict[str, Any] | None:
        check = self.label_check
        if check is None:
            return None
        return {
            "checked": check.checked,
            "repeats": check.repeats,
            "label_issues": self.label_issues(),
        }


def audit(catalog: Catalog, *, seed: int = 0, label_check: LabelCheck | None = None) -> Audit:
    """Look for everything that would make results on a dataset misleading.

    Args:
        seed: of the probes for shortcuts.
        label_check: of the labels of the usable slices.
    """
    usable = catalog.usable()
    table, groups, labels = usable.table, usable.groups, usable.labels
    group_sets = _sets_of_rows(groups)
    return Audit(
        catalog=catalog,
        counts=usable.counts,
        unreadable=tuple(int(row) for row in np.flatnonzero(catalog.table["problem"] != "")),
        identical=_sets_of_rows(_exact_duplicates(table)),
        groups=group_sets,
        distinct=len(np.unique(groups)),
        conflicts=tuple(
            rows
            for rows in _sets_of_rows(table["duplicates"].to_numpy())
            if len(set(labels[list(rows)])) > 1
        ),
        leaks=_leaks(table, groups),
        outliers=tuple(find_outliers(table)),
        shortcuts=tuple(
            probe_shortcuts(table, labels, groups, classes=len(usable.classes), seed=seed)
        ),
        label_check=label_check,
    )


def _exact_duplicates(table: pd.DataFrame) -> np.ndarray:
    """A number for each row, equal for rows of equal content and index: int64 (rows,)."""
    keys = table["sha256"] + "/" + table["index"].astype("str")
    return components(len(table), equal_pairs(keys.tolist()))


def _sets_of_rows(numbers: np.ndarray) -> tuple[Rows, ...]:
    """The sets of two or more rows with the same number, largest first, then by first row."""
    order = np.argsort(numbers, kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    sets = [tuple(int(row) for row in rows) for rows in runs if len(rows) > 1]
    return tuple(sorted(sets, key=lambda rows: (-len(rows), rows)))


def _leaks(table: pd.DataFrame, groups: np.ndarray) -> tuple[Leak, ...]:
    parts = table["split"].to_numpy()
    names = [name for name in ("train", "validation", "test") if (parts == name).any()]
    digests = table["sha256"].to_numpy()
    leaks = []
    for other, part in itertools.combinations(names, 2):
        rows, others = np.flatnonzero(parts == part), np.flatnonzero(parts == other)
        leaked = rows[np.isin(groups[rows], groups[others])]
        identical = int(np.isin(digests[rows], digests[others]).sum())
        leaks.append(Leak(part, other, tuple(map(int, leaked)), identical, len(rows)))
    return tuple(leaks)


def _name(table: pd.DataFrame, row: int) -> str:
    """The path of a row, and its index unless that is 0."""
    path, index = table["path"].to_numpy()[row], table["index"].to_numpy()[row]
    return path if index == 0 else f"{path}#{index}"
