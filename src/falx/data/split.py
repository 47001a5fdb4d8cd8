"""Leak-free splits: slices of one group are never separated.

A group is a connected component of the relation "same patient or near-duplicate" (see
falx.data.duplicates). Parts and folds are stratified by label, and by
source where there are several, as far as groups allow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from falx.errors import BadInput, UnusableData

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Row numbers of a catalog, divided into three parts.

    Each is a sorted int64 array; together, and with those that are in none, they contain every row
    once.

    Attributes:
        excluded: rows that take no part, since they share a group with a test row.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    excluded: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        rows = np.sort(np.concatenate([self.train, self.validation, self.test, self.excluded]))
        if not np.array_equal(rows, np.arange(len(rows))):
            raise ValueError("A split must contain every row of the catalog exactly once.")

    @classmethod
    def from_parts(cls, parts: np.ndarray) -> Split:
        """From the part of each row: int (n,), 0 train, 1 validation, 2 test, 3 excluded."""
        return cls(*(np.flatnonzero(parts == part) for part in range(len(PARTS) + 1)))

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The rows of each part by its name, without those excluded."""
        return {name: getattr(self, name) for name in PARTS}

    def names(self) -> np.ndarray:
        """The part of each row by name, or "excluded": str (n,)."""
        every = self.parts | {"excluded": self.excluded}
        names = np.empty(sum(map(len, every.values())), dtype=object)
        for name, rows in every.items():
            names[rows] = name
        return names


def split_by_group(
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    shares: Sequence[float] = (0.70, 0.15, 0.15),
    seed: int = 0,
) -> Split:
    """Split rows by group, stratified by label as far as groups allow.

    Args:
        labels: class of each row, int (n,).
        groups: group of each row, int (n,).
        shares: of train, validation and test; they sum to 1.

    Raises:
        UnusableData: a class has fewer groups than parts.
    """
    return Split.from_parts(assign_groups(labels, groups, shares, seed))


def random_split(
    labels: np.ndarray, *, shares: Sequence[float] = (0.70, 0.15, 0.15), seed: int = 0
) -> Split:
    """Split rows stratified by label, ignoring groups, as most notebooks do."""
    return split_by_group(labels, np.arange(len(labels)), shares=shares, seed=seed)


def folds_by_group(
    labels: np.ndarray, groups: np.ndarray, *, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """The fold of each row: int (n,), [0, folds); no group is in two folds.

    Raises:
        UnusableData: a class has fewer groups than folds.
    """
    return assign_groups(labels, groups, [1 / folds] * folds, seed)


def fold_splits(
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int = 5,
    validation: float = 0.15,
    seed: int = 0,
) -> list[Split]:
    """A split for each fold, which is its test part; every row is tested once.

    The validation part is one of several equal parts of the remaining rows, chosen at random, so
    that every group is equally likely to be in it: rules are then chosen on slices distributed as
    those that they are tested on.

    Args:
        validation: fraction of all rows in the validation part, in (0, 1 - 1 / folds); approximate,
            since the parts are equal and each needs a group of every class.

    Raises:
        UnusableData: a class has fewer groups than folds, or too few for a validation part.
    """
    fold = folds_by_group(labels, groups, folds=folds, seed=seed)
    parts_wanted, rng = round((1 - 1 / folds) / validation), np.random.default_rng(seed)
    splits = []
    for number in range(folds):
        parts = np.full(len(labels), PARTS.index("test"))
        rest = np.flatnonzero(fold != number)
        parts[rest] = _part_validation(labels[rest], groups[rest], parts_wanted, rng, seed)
        splits.append(Split.from_parts(parts))
    return splits


def source_splits(
    labels: np.ndarray,
    groups: np.ndarray,
    sources: np.ndarray,
    *,
    validation: float = 0.15,
    seed: int = 0,
) -> list[Split]:
    """A split for each source, whose rows are its test part; leave-one-source-out.

    Rows of other sources that share a group with a test row are excluded. The validation part is
    one of several equal parts of the others, as in `fold_splits`.

    Args:
        sources: source of each row, int (n,) in [0, sources).
        validation: fraction of the rows that are left; approximate.

    Raises:
        UnusableData: so few groups of a class are left that there can be no validation part.
    """
    rng, splits = np.random.default_rng(seed), []
    for number in range(int(sources.max()) + 1):
        tested = sources == number
        parts = np.where(tested, PARTS.index("test"), len(PARTS))
        rest = np.flatnonzero(~tested & ~np.isin(groups, groups[tested]))
        if len(rest):
            strata = stratify(labels[rest], sources[rest], groups[rest], 2 * round(1 / validation))
            parts[rest] = _part_validation(strata, groups[rest], round(1 / validation), rng, seed)
        splits.append(Split.from_parts(parts))
    return splits


def stratify(labels: np.ndarray, sources: np.ndarray, groups: np.ndarray, least: int) -> np.ndarray:
    """What to stratify rows by: int (n,), a number for each class of each source.

    Where one of these has fewer than `least` groups, it is the class alone. Of one source, the
    numbers are those of the classes.
    """
    strata: np.ndarray = sources * (int(labels.max()) + 1) + labels
    fewest = int((_class_counts(strata, groups) > 0).sum(axis=0).min())
    return strata if fewest >= least else labels


def _part_validation(
    labels: np.ndarray, groups: np.ndarray, wanted: int, rng: np.random.Generator, seed: int
) -> np.ndarray:
    """Training or validation of each row: one of about `wanted` equal parts is for validation."""
    # Every part needs a group of every class.
    fewest = int((_class_counts(labels, groups) > 0).sum(axis=0).min())
    count = max(min(wanted, fewest), 2)
    part = folds_by_group(labels, groups, folds=count, seed=seed)
    chosen = part == rng.integers(count)
    return np.where(chosen, PARTS.index("validation"), PARTS.index("train"))


def check_classes(
    split: Split, labels: np.ndarray, classes: Sequence[str], *, parts: Sequence[str] = PARTS
) -> None:
    """Check that parts have slices of every class.

    Args:
        labels: class code of each row, int (n,).
        classes: their names.
        parts: to check.

    Raises:
        UnusableData: a part lacks a class.
    """
    for part in parts:
        rows = split.parts[part]
        lacking = sorted(set(range(len(classes))) - set(labels[rows].tolist()))
        if lacking:
            raise UnusableData(
                f"The {part} part has no slice of '{classes[lacking[0]]}', so the class could not "
                "be learned or tested; use another split, or add slices."
            )


def assign_groups(
    labels: np.ndarray, groups: np.ndarray, shares: Sequence[float], seed: int
) -> np.ndarray:
    """The part of each row: int (n,), [0, len(shares)), whole groups at a time.

    Groups are assigned from largest to smallest, ties in random order, each to the part that is
    furthest below its share of the group's classes. A part that has none of a class is furthest
    below, so every part gets every class.
    """
    if len(labels) != len(groups):
        raise ValueError(
            f"`labels` and `groups` must be of one length, got {len(labels)} and {len(groups)}."
        )
    if not np.isclose(sum(shares), 1) or min(shares) <= 0:
        raise BadInput(f"The shares of a split must be positive and sum to 1, got {list(shares)}.")
    counts = _class_counts(labels, groups)
    _check_enough(counts, len(shares))
    target = np.asarray(shares)[:, None] * counts.sum(axis=0)
    assigned = np.zeros_like(target)
    weight = counts / counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    part_of = np.empty(len(counts), np.int64)
    for group in order:
        need = (1 - assigned / target) @ weight[group]
        # Ties go to the larger part, so that the largest groups land in training.
        part = max(range(len(shares)), key=lambda part: (round(need[part], 12), shares[part]))
        part_of[group] = part
        assigned[part] += counts[group]
    return part_of[np.unique(groups, return_inverse=True)[1]]


def predefined_split(
    names: Sequence[str], labels: np.ndarray, groups: np.ndarray, *, seed: int = 0
) -> Split:
    """The split that comes with the data.

    If it has no validation part, 15 % of the training rows, by group, become it.

    Args:
        names: part of each row, "" where the data don't say.
        labels: class of each row, int (n,).
        groups: group of each row, int (n,).

    Raises:
        BadInput: a row has no part, or train or test is empty.
    """
    parts = np.asarray([PARTS.index(name) if name in PARTS else -1 for name in names])
    if (parts < 0).any():
        raise BadInput(
            f"{(parts < 0).sum()} slices don't say whether they are train, validation or test; "
            "sort them into such folders, fill the column 'split', or let falx split them."
        )
    for name in ("train", "test"):
        if not (parts == PARTS.index(name)).any():
            raise BadInput(
                f"The predefined split of the data has no {name} slices; let falx split them."
            )
    if not (parts == PARTS.index("validation")).any():
        train = np.flatnonzero(parts == PARTS.index("train"))
        parts[train] = assign_groups(labels[train], groups[train], (0.85, 0.15), seed)
    return Split.from_parts(parts)


def read_split(
    path: Path, table: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, *, seed: int = 0
) -> Split:
    """A split from a CSV file with the columns path, index (optional) and part.

    Raises:
        BadInput: the file can't be read, or lacks a slice of the catalog.
    """
    try:
        rows = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"The split file '{path}' can't be read as CSV: {error}.") from error
    missing = {"path", "part"} - set(rows.columns)
    if missing:
        raise BadInput(f"The split file '{path}' lacks the column '{min(missing)}'.")
    if "index" not in rows.columns:
        rows["index"] = 0
    part_of = rows.drop_duplicates(["path", "index"]).set_index(["path", "index"])["part"]
    slices = pd.MultiIndex.from_frame(table[["path", "index"]])
    parts = part_of.reindex(slices)
    if parts.isna().any():
        raise BadInput(
            f"The split file '{path}' lacks {int(parts.isna().sum())} slices of the data, among "
            f"them '{slices[int(np.argmax(parts.isna()))][0]}'; add them, or let falx split."
        )
    return predefined_split([str(part) for part in parts], labels, groups, seed=seed)


def split_table(table: pd.DataFrame, split: Split) -> pd.DataFrame:
    """The split as a table (path, index, label, group, part) that `read_split` reads back."""
    return table[["path", "index", "label", "group"]].assign(part=split.names())


def shares_group_with_training(split: Split, groups: np.ndarray) -> np.ndarray:
    """Which test rows share a group with a training row: bool (test,)."""
    return np.isin(groups[split.test], groups[split.train])


def describe_split(strategy: str) -> str:
    """A value of `--split` in words."""
    names = {"random": "random 70/15/15, ignoring groups", "predefined": "predefined"}
    return names.get(strategy) or (
        f"leak-free {strategy}" if is_shares(strategy) else f"from {strategy}"
    )


def is_shares(strategy: str) -> bool:
    """Whether a value of `--split` states shares, such as 70/15/15."""
    return re.fullmatch(r"\d+/\d+/\d+", strategy) is not None


def _class_counts(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Rows of each class in each group: float (groups, classes)."""
    classes, label_codes = np.unique(labels, return_inverse=True)
    names, group_codes = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (group_codes, label_codes), 1)
    return counts


def _check_enough(counts: np.ndarray, parts: int) -> None:
    fewest = int((counts > 0).sum(axis=0).min())
    if fewest < parts:
        raise UnusableData(
            f"A class has only {fewest} group(s) of slices, and {parts} parts need at least "
            f"{parts} in each class; add slices of other patients or use fewer parts."
        )
