"""Another dataset, to pretrain on, without any slice near one of the dataset to be evaluated.

Not only slices near those of the test are left out but all that share a group with any: whatever
the split or the fold, none of its test slices was learned from, and one pretraining serves all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog, build_catalog, twins_of
from falx.data.split import assign_groups
from falx.errors import BadInput, UnusableData
from falx.progress import Listener, silent

HELD_OUT = 0.1
"""Share of the slices that tell how well the rest was learned."""


@dataclass(frozen=True)
class Corpus:
    """The slices that a backbone is pretrained on, and how many were not fit for that.

    Attributes:
        catalog: of usable slices, none of which shares a group with the dataset to be evaluated.
        removed: slices that do.
        held: rows of the catalog that are not learned from, whole groups of all classes: bool (n,).
    """

    catalog: Catalog
    removed: int
    held: np.ndarray

    def about(self) -> dict[str, Any]:
        """What it is, ready for JSON: name, sha256, and numbers of slices.

        `slices` in all are those `learned`, those `held_out` and those `removed`.
        """
        held = int(self.held.sum())
        return {
            "name": self.catalog.root.name,
            "sha256": self.catalog.digest(),
            "slices": len(self.catalog) + self.removed,
            "removed": self.removed,
            "learned": len(self.catalog) - held,
            "held_out": held,
        }


def check_other(source: Path, data: Path) -> None:
    """See that a dataset is not to be pretrained on itself.

    Raises:
        BadInput: it is.
    """
    if source.resolve() == data.resolve():
        raise BadInput(
            f"'{data}' can't be pretrained on itself; name another dataset with --pretrain-on."
        )


def find_corpus(source: Path, data: Catalog, *, seed: int, listener: Listener = silent) -> Corpus:
    """The slices of another dataset that share no group with a slice of `data`.

    Args:
        source: a folder with a subfolder a class, or a table; its classes may be any.
        data: the dataset to be evaluated.
        seed: of what is held out.

    Raises:
        BadInput: the other dataset can't be found or understood.
        UnusableData: it has one class, or too few groups of one are left.
    """
    other = build_catalog(source, listener=listener).usable()
    twins = twins_of(data.usable().table, other.table)
    kept = replace(other, table=other.table[~twins].reset_index(drop=True))
    _check_enough(kept, int(twins.sum()), data.root.name)
    part = assign_groups(kept.labels, kept.groups, (1 - HELD_OUT, HELD_OUT), seed)
    return Corpus(kept, int(twins.sum()), part == 1)


def _check_enough(kept: Catalog, removed: int, data: str) -> None:
    groups = pd.Series(kept.groups).groupby(kept.table["label"]).nunique()
    fewest = groups.reindex(kept.classes, fill_value=0)
    if fewest.min() >= 2:
        return
    other, total = kept.root.name, len(kept) + removed
    left = f"{removed} of the {total} slices of '{other}' share a group with a slice of '{data}'"
    if not len(kept):
        raise UnusableData(
            f"Nothing is left to pretrain on: {left}; name another dataset with --pretrain-on, or "
            "leave it out."
        )
    raise UnusableData(
        f"{left}, and of its class '{fewest.idxmin()}' {fewest.min()} group(s) of others are left "
        "where pretraining needs 2; add slices, take the class out, or leave out --pretrain-on."
    )
