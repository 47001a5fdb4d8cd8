"""Several datasets as one catalog: each slice keeps its source, and groups reach across sources.

Numbers of patients and cases mean other people in another dataset, so they are kept apart by the
name of the source; numbers of studies and series are unique in the world. Near-duplicates, and
files of equal content, are found among all slices.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog, below, build_catalog, grouped, read_rows
from falx.data.class_names import means_any, means_none, order_classes
from falx.data.mask_rule import MaskRule
from falx.data.masks import join_masks
from falx.data.sources import Entry, class_names, entries_of
from falx.errors import BadInput, UnusableData
from falx.progress import Listener, silent

logger = logging.getLogger(__name__)

_ANY = "tumor"

Found = tuple[Path, list[Entry]]
"""Root and files of a dataset."""


def as_paths(data: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """One path or several, as paths.

    Raises:
        BadInput: there is none.
    """
    several = [data] if isinstance(data, str | Path) else data
    if not several:
        raise BadInput("No dataset is named; give at least one folder or table.")
    return tuple(map(Path, several))


def build_joined_catalog(
    paths: Sequence[Path],
    *,
    positive: str | None = None,
    masks: MaskRule | None = None,
    cache: Path | None = None,
    listener: Listener = silent,
) -> Catalog:
    """One catalog of one dataset or several.

    Of several, the root is the deepest folder that holds all of them, `source` is their shortest
    name, and each may lack classes that another has. Where classes differ, they are folded to two,
    no tumor and any tumor, if that is what they mean.

    Args:
        paths: each as for `build_catalog`.
        positive, masks, cache, listener: as for `build_catalog`.

    Raises:
        BadInput: a dataset can't be found or understood, two overlap, or their classes don't agree.
        UnusableData: there are too few classes, or a dataset has no slice that can be used.
    """
    if len(paths) == 1:
        return build_catalog(
            paths[0], positive=positive, masks=masks, cache=cache, listener=listener
        )
    found = find_datasets(paths)
    names = source_names(paths)
    labels = joined_classes(
        {name: class_names(entries) for name, (_, entries) in zip(names, found, strict=True)}
    )
    classes = order_classes(set(labels.values()), positive)
    common = Path(os.path.commonpath([root for root, _ in found]))
    parts = []
    for path, name, (root, entries) in zip(paths, names, found, strict=True):
        rows = read_rows(path, root, entries, masks=masks, cache=cache, listener=listener)
        parts.append(_of_source(rows, name, root, common, labels))
    return grouped(common, classes, pd.concat(parts, ignore_index=True))


def find_datasets(paths: Sequence[Path]) -> list[Found]:
    """Root and files of each dataset; those of several may have one class each.

    Raises:
        BadInput: one can't be found or understood, or two overlap.
        UnusableData: together they hold fewer than two classes.
    """
    if len(paths) == 1:
        return [entries_of(paths[0])]
    found: list[Found] = [entries_of(path, min_classes=1) for path in paths]
    files = [_files(*each) for each in found]
    for (one, of_one), (other, of_other) in combinations(zip(paths, files, strict=True), 2):
        if one.resolve() == other.resolve() or of_one & of_other:
            raise BadInput(
                f"'{one}' and '{other}' overlap, so that slices would count twice; name datasets "
                "that have no file in common."
            )
    classes = set().union(*(class_names(entries) for _, entries in found))
    if len(classes) < 2:
        raise UnusableData(
            f"All datasets hold only the class '{min(classes)}', and a classifier needs at least "
            "two; add a dataset with another."
        )
    return found


def source_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """The names of datasets: as many of the last folders of each path as tell them apart."""
    # A table is named without its suffix, unless another format has the same name.
    plain = [
        path.absolute() if path.is_dir() else path.absolute().with_suffix("") for path in paths
    ]
    if len(set(plain)) < len(plain):
        plain = [path.absolute() for path in paths]
    depths = range(1, max(len(path.parts) for path in plain) + 1)
    candidates = (tuple("/".join(path.parts[-depth:]) for path in plain) for depth in depths)
    return next(names for names in candidates if len(set(names)) == len(names))


def joined_classes(classes: Mapping[str, set[str]]) -> dict[str, str]:
    """What each class of some datasets is called when they are joined.

    Names stay where one dataset has all of them. Otherwise what means "no tumor" and all else
    become two classes, if each dataset has a class that means "no tumor", or none but tumors.

    Args:
        classes: of each dataset, by its name.

    Raises:
        BadInput: the classes differ and don't mean tumor and no tumor.
    """
    every = list(dict.fromkeys(name for names in classes.values() for name in sorted(names)))
    if any(names == set(every) for names in classes.values()):
        return {name: name for name in every}
    tumors = {
        name for names in classes.values() if any(map(means_none, names)) for name in names
    } | {name for name in every if means_any(name)}
    nones = [name for name in every if means_none(name)]
    if not nones or any(not means_none(name) and name not in tumors for name in every):
        held = "; ".join(
            f"'{source}' {', '.join(sorted(each))}" for source, each in classes.items()
        )
        raise BadInput(
            f"The datasets hold different classes ({held}), which don't all mean tumor or no "
            "tumor; rename the folders, such as to yes/ and no/."
        )
    none, any_ = nones[0], next(filter(means_any, every), _ANY)
    folded = {name: none if means_none(name) else any_ for name in every}
    if any(name != called for name, called in folded.items()):
        logger.warning(
            "The datasets hold different classes, which are folded to two: %s count as '%s', "
            "%s as '%s'.",
            ", ".join(nones), none, ", ".join(name for name in every if name not in nones), any_,
        )  # fmt: skip
    return folded


def _files(root: Path, entries: Sequence[Entry]) -> set[str]:
    """The files of a dataset, whatever links its folder is reached by."""
    there = root.resolve()
    return {os.path.normpath(there / os.path.relpath(entry.file, root)) for entry in entries}


def _of_source(
    rows: pd.DataFrame, name: str, root: Path, common: Path, labels: Mapping[str, str]
) -> pd.DataFrame:
    """The rows of one dataset, as they are called among those of several.

    Args:
        root: what paths are relative to.
        common: what they will be.
    """

    def prefixed(column: str) -> pd.Series[str]:
        return (f"{name}/" + rows[column]).where(rows[column] != "", "")

    def moved(path: str) -> str:
        return below(root / path, common)

    return rows.assign(
        source=name,
        path=rows["path"].map(moved),
        mask=[join_masks(map(moved, cell.split("\n"))) if cell else "" for cell in rows["mask"]],
        label=np.array([labels.get(label, label) for label in rows["label"]], object),
        patient=prefixed("patient"),
        case=prefixed("case"),
        volume=prefixed("volume"),
    )
