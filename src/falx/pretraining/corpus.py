"""A pretraining corpus: another dataset, without slices related to the dataset to be evaluated.

Slices are excluded if they share a group with any slice of that dataset, not only of its test
part. So no test slice of any split or fold was trained on, and all of them can share one
pretraining.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog, build_catalog, shares_group_with
from falx.data.split import assign_groups
from falx.errors import BadInput, UnusableData
from falx.progress import Listener, silent

HELD_OUT_FRACTION = 0.1
"""Fraction of the slices that the pretrained network is scored on."""


@dataclass(frozen=True)
class Corpus:
    """The slices for pretraining a backbone.

    Attributes:
        catalog: of usable slices, none of which shares a group with the dataset to be evaluated.
        excluded: number of slices that do.
        held_out: which rows of the catalog are not trained on; whole groups of all classes, bool
            (n,).
    """

    catalog: Catalog
    excluded: int
    held_out: np.ndarray

    def summary(self) -> dict[str, Any]:
        """Name, sha256 and numbers of slices, as JSON values.

        `slices` is the sum of `excluded`, `trained_on` and `held_out`.
        """
        held_out = int(self.held_out.sum())
        return {
            "name": self.catalog.root.name,
            "sha256": self.catalog.digest(),
            "slices": len(self.catalog) + self.excluded,
            "excluded": self.excluded,
            "trained_on": len(self.catalog) - held_out,
            "held_out": held_out,
        }


def check_other_dataset(source: Path, data: Path) -> None:
    """Check that a dataset is not pretrained on itself.

    Raises:
        BadInput: both paths are the same.
    """
    if source.resolve() == data.resolve():
        raise BadInput(
            f"'{data}' can't be pretrained on itself; name another dataset with --pretrain-on."
        )


def build_corpus(source: Path, data: Catalog, *, seed: int, listener: Listener = silent) -> Corpus:
    """The slices of another dataset that share no group with a slice of `data`.

    Args:
        source: a folder with one subfolder per class, or a table; of any classes.
        data: the dataset to be evaluated.
        seed: of the held-out part.

    Raises:
        BadInput: the other dataset can't be found or read.
        UnusableData: it has only one class, or too few groups of a class are left.
    """
    other = build_catalog(source, listener=listener).usable()
    related = shares_group_with(data.usable().table, other.table)
    excluded = int(related.sum())
    catalog = replace(other, table=other.table[~related].reset_index(drop=True))
    _check_groups(catalog, excluded, data.root.name)
    fractions = (1 - HELD_OUT_FRACTION, HELD_OUT_FRACTION)
    part = assign_groups(catalog.labels, catalog.groups, fractions, seed)
    return Corpus(catalog, excluded, part == 1)


def _check_groups(catalog: Catalog, excluded: int, data: str) -> None:
    groups = pd.Series(catalog.groups).groupby(catalog.table["label"]).nunique()
    counts = groups.reindex(catalog.classes, fill_value=0)
    if counts.min() >= 2:
        return
    other, total = catalog.root.name, len(catalog) + excluded
    reason = f"{excluded} of the {total} slices of '{other}' share a group with a slice of '{data}'"
    if not len(catalog):
        raise UnusableData(
            f"Nothing is left to pretrain on: {reason}; name another dataset with --pretrain-on, "
            "or leave it out."
        )
    raise UnusableData(
        f"{reason}; of its class '{counts.idxmin()}' {counts.min()} other group(s) are left, but "
        "pretraining needs 2: add slices, remove the class, or leave out --pretrain-on."
    )
