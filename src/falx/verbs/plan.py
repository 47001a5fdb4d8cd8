"""What a training is to do, worked out and checked before it begins."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import falx
from falx import defaults
from falx.data.catalog import Catalog, build_catalog
from falx.data.split import (
    Split,
    given_split,
    read_split,
    split_at_random,
    split_by_group,
    twins_in_training,
)
from falx.errors import BadInput, UnusableData
from falx.model.weights import Weights, find_weights
from falx.progress import Listener, silent
from falx.recipe import Precision, Recipe, load_recipe


@dataclass(frozen=True)
class Plan:
    """All that decides a training.

    Attributes:
        catalog: the data, unusable files included.
        split: rows of `catalog.usable()`.
        how: what was asked for as split.
        precision: of the arithmetic of what is frozen.
        command: the command line that repeats the training.
    """

    catalog: Catalog
    recipe: Recipe
    weights: Weights
    split: Split
    how: str
    seed: int
    precision: Precision
    command: str

    @cached_property
    def usable(self) -> Catalog:
        """The slices that take part."""
        return self.catalog.usable()

    @cached_property
    def twins(self) -> np.ndarray:
        """Which test slices have a twin in training: bool (test,)."""
        return twins_in_training(self.split, self.usable.groups)

    @property
    def split_name(self) -> str:
        """The split in words."""
        if self.how in {"random", "given"}:
            words = {"random": "random 70/15/15, blind to copies", "given": "as the data came"}
            return words[self.how]
        return f"leak-free {self.how}" if _shares(self.how) else f"from {self.how}"

    def blind(self) -> Plan:
        """The same on a random split."""
        split = split_at_random(self.usable.labels, seed=self.seed)
        return replace(self, split=split, how="random")

    def request(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that began; JSON values."""
        return {
            "falx": falx.__version__,
            "data": self.data_digest(),
            "classes": self.catalog.classes,
            "recipe": self.recipe.model_dump(mode="json"),
            "weights": self.weights.sha256 or self.weights.name,
            "split": hashlib.sha256(self.split.names().astype("U").tobytes()).hexdigest(),
            "seed": self.seed,
            "precision": self.precision,
        }

    def data_digest(self) -> str:
        """A SHA-256 over content, labels and order of the slices, wherever they lie."""
        table = self.catalog.table[["sha256", "index", "label", "patient"]]
        return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()


def make_plan(
    data: Path,
    *,
    recipe: str | Path | Recipe,
    changes: Mapping[str, str],
    weights: str,
    split: str,
    seed: int,
    positive: str | None,
    precision: Precision = "fp32",
    listener: Listener = silent,
) -> Plan:
    """Read recipe, weights and data, and part the data; the cheapest checks come first.

    Raises:
        FalxError: what was asked for can't be done.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    chosen = chosen.changed(changes)
    found = find_weights(weights, chosen.backbone)
    catalog = build_catalog(data, positive=positive, listener=listener)
    # A recipe that was made in Python is found beside the report that names it.
    named = "recipe.yaml" if isinstance(recipe, Recipe) else str(recipe)
    command = ["falx", "train", str(data), "--recipe", named, "--weights", weights]
    command += ["--split", split, "--seed", str(seed)]
    command += ["--positive", positive] if positive else []
    command += ["--precision", precision] if precision != "fp32" else []
    for field, value in changes.items():
        command += ["--set", f"{field}={value}"]
    parted = make_split(split, catalog.usable(), seed)
    _check_classes(parted, catalog.usable())
    return Plan(catalog, chosen, found, parted, split, seed, precision, shlex.join(command))


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
    if _shares(how):
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


def _check_classes(split: Split, usable: Catalog) -> None:
    for part, rows in vars(split).items():
        present = set(usable.labels[rows])
        lacking = [name for code, name in enumerate(usable.classes) if code not in present]
        if lacking:
            raise UnusableData(
                f"The {part} part has no slice of '{lacking[0]}', so nothing could be learned or "
                "told of it; split otherwise, or add slices."
            )


def _shares(how: str) -> bool:
    return re.fullmatch(r"\d+/\d+/\d+", how) is not None
