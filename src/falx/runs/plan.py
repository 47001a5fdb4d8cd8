"""How the slices of a training are split, worked out and checked before it begins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from falx.data.catalog import Catalog
from falx.data.split import (
    PARTS,
    Split,
    check_classes,
    describe_split,
    is_shares,
    predefined_split,
    random_split,
    read_split,
    shares_group_with_training,
    split_by_group,
)
from falx.errors import BadInput
from falx.runs.inputs import TrainingInputs


@dataclass(frozen=True)
class Plan:
    """All that decides a training.

    Attributes:
        split: rows of `inputs.usable`.
        strategy: what was asked for as split.
    """

    inputs: TrainingInputs
    split: Split
    strategy: str

    @cached_property
    def leaked(self) -> np.ndarray:
        """Which test slices share a group with one that was learned from: bool (test,).

        In training, or by the initial weights before.
        """
        in_training = shares_group_with_training(self.split, self.inputs.usable.groups)
        return in_training | self.inputs.seen[self.split.test]

    @property
    def split_description(self) -> str:
        """The split in words."""
        return describe_split(self.strategy)

    def with_random_split(self) -> Plan:
        """The same on a random split."""
        return replace(
            self,
            split=make_split("random", self.inputs.usable, self.inputs.seed),
            strategy="random",
        )

    def request(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that began; JSON values."""
        parts = self.split.names().astype("U")
        return {**self.inputs.request(), "split": hashlib.sha256(parts.tobytes()).hexdigest()}


def make_plan(inputs: TrainingInputs, strategy: str) -> Plan:
    """Split the data.

    Raises:
        FalxError: what was asked for can't be done.
    """
    split = make_split(strategy, inputs.usable, inputs.seed)
    check_classes(split, inputs.usable.labels, inputs.usable.classes)
    return Plan(inputs, split, strategy)


def split_strategy(split: str | Path | Sequence[float]) -> str:
    """A split as `--split` takes it; in Python, it may be the fractions of the three parts.

    Raises:
        BadInput: they are not three fractions of whole percents that sum to 1.
    """
    if isinstance(split, str | Path):
        return str(split)
    try:
        percents = 100 * np.asarray(split, float)
    except (TypeError, ValueError):
        percents = np.empty(0)
    whole = np.rint(percents)
    if whole.shape != (len(PARTS),) or whole.sum() != 100 or not np.allclose(whole, percents):
        raise BadInput(
            f"`split` takes fractions of train, validation and test part in whole percents that "
            f"sum to 1, such as (0.7, 0.15, 0.15), not {split!r}."
        )
    return "/".join(f"{percent:.0f}" for percent in whole)


def make_split(strategy: str, usable: Catalog, seed: int) -> Split:
    """The split that `--split` asks for.

    Raises:
        BadInput: it is none of the known forms.
        UnusableData: a class has fewer groups than parts.
    """
    labels, groups, table = usable.labels, usable.groups, usable.table
    strata = usable.strata(len(PARTS))
    if strategy == "random":
        return random_split(strata, seed=seed)
    if strategy == "predefined":
        return predefined_split(table["split"].tolist(), labels, groups, seed=seed)
    if is_shares(strategy):
        percentages = np.array([int(part) for part in strategy.split("/")], float)
        if percentages.sum() != 100:
            raise BadInput(f"The percentages of --split must sum to 100, got {strategy}.")
        return split_by_group(strata, groups, shares=tuple(percentages / 100), seed=seed)
    if Path(strategy).is_file():
        return read_split(Path(strategy), table, labels, groups, seed=seed)
    raise BadInput(
        "--split takes percentages such as 70/15/15, 'random', 'predefined', or a CSV file, not "
        f"'{strategy}'."
    )
