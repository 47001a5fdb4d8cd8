"""How the slices of a training are split, worked out and checked before it begins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from falx import defaults
from falx.data.catalog import Catalog
from falx.data.split import (
    Split,
    check_classes,
    given_split,
    is_shares,
    read_split,
    split_at_random,
    split_by_group,
    split_words,
    twins_in_training,
)
from falx.errors import BadInput
from falx.verbs.basis import Basis


@dataclass(frozen=True)
class Plan:
    """All that decides a training.

    Attributes:
        split: rows of `basis.usable`.
        how: what was asked for as split.
    """

    basis: Basis
    split: Split
    how: str

    @cached_property
    def twins(self) -> np.ndarray:
        """Which test slices have a twin in training: bool (test,)."""
        return twins_in_training(self.split, self.basis.usable.groups)

    @property
    def split_name(self) -> str:
        """The split in words."""
        return split_words(self.how)

    @property
    def command(self) -> str:
        """The command line that repeats the training."""
        return self.basis.command("train", "--split", self.how)

    def blind(self) -> Plan:
        """The same on a random split."""
        split = split_at_random(self.basis.usable.labels, seed=self.basis.seed)
        return replace(self, split=split, how="random")

    def request(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that began; JSON values."""
        names = self.split.names().astype("U")
        return {**self.basis.request(), "split": hashlib.sha256(names.tobytes()).hexdigest()}


def make_plan(basis: Basis, how: str) -> Plan:
    """Part the data.

    Raises:
        FalxError: what was asked for can't be done.
    """
    parted = make_split(how, basis.usable, basis.seed)
    check_classes(parted, basis.usable.labels, basis.usable.classes)
    return Plan(basis, parted, how)


def make_split(how: str, usable: Catalog, seed: int) -> Split:
    """The split that `--split` asks for.

    Raises:
        BadInput: it is none of the known forms.
        UnusableData: a class has fewer groups than parts.
    """
    labels, groups, table = usable.labels, usable.groups, usable.table
    if how == "random":
        return split_at_random(labels, seed=seed)
    if how == "given":
        return given_split(table["split"].tolist(), labels, groups, seed=seed)
    if is_shares(how):
        numbers = np.array([int(part) for part in how.split("/")], float)
        if numbers.sum() != 100:
            raise BadInput(f"The shares of --split must sum to 100, got {how}.")
        return split_by_group(labels, groups, shares=tuple(numbers / 100), seed=seed)
    if Path(how).is_file():
        return read_split(Path(how), table, labels, groups, seed=seed)
    raise BadInput(
        f"--split takes shares such as {defaults.SPLIT}, 'random', 'given', or a CSV file, "
        f"not '{how}'."
    )
