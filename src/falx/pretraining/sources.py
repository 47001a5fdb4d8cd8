"""Datasets to learn from beside phantoms: their views, labels and outlines of tumors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from falx.data.catalog import Catalog, build_catalog, shares_group_with
from falx.data.class_names import has_negative
from falx.data.outlines import outlined_files
from falx.errors import BadInput, UnusableData
from falx.image.render import render_with_region, shown_in
from falx.progress import Listener, Progress, silent
from falx.recipe import Rendering

logger = logging.getLogger(__name__)

_SCALE = 255
_MAPPED = ("views", "covers")


@dataclass(frozen=True, eq=False)
class Source:
    """The slices of a dataset as a network sees them; its arrays are read from disk as needed.

    Attributes:
        name: of the dataset.
        sha256: of its catalog.
        views_file, covers_file: NumPy arrays uint8 (n, size, size): plain views, and how much of
            each pixel is tumor, 0 to 255.
        tumors: whether each slice shows one, bool (n,).
        outlined: whether it is known where, bool (n,); it is in slices without any.
        groups: as in its catalog, (n,).
    """

    name: str
    sha256: str
    views_file: Path
    covers_file: Path
    tumors: np.ndarray
    outlined: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.tumors)

    @cached_property
    def views(self) -> np.ndarray:
        """Plain views uint8 (n, size, size), mapped into memory."""
        return np.load(self.views_file, mmap_mode="r")

    @cached_property
    def covers(self) -> np.ndarray:
        """How much of each pixel is tumor, uint8 (n, size, size), mapped into memory."""
        return np.load(self.covers_file, mmap_mode="r")

    def cover(self, row: int) -> np.ndarray | None:
        """How much of each pixel of a view is tumor: float32 (size, size); None if unknown."""
        if not self.outlined[row]:
            return None
        cover: np.ndarray = self.covers[row].astype(np.float32) / _SCALE
        return cover

    def has(self, tumor: bool) -> bool:
        """Whether there is a slice with, or without, a tumor."""
        return bool((self.tumors == tumor).any())

    def pick(self, rng: Generator, *, tumor: bool) -> int:
        """A random slice with, or without, a tumor; every group is as likely as any other."""
        rows, starts = self._by_group[tumor]
        group = rng.integers(len(starts) - 1)
        return int(rows[rng.integers(starts[group], starts[group + 1])])

    @cached_property
    def _by_group(self) -> dict[bool, tuple[np.ndarray, np.ndarray]]:
        """Rows with and without a tumor, by group, and where each group starts; then the end."""
        found = {}
        for tumor in (False, True):
            rows = np.flatnonzero(self.tumors == tumor)
            rows = rows[np.argsort(self.groups[rows], kind="stable")]
            changes = np.flatnonzero(np.diff(self.groups[rows])) + 1
            found[tumor] = (rows, np.concatenate([[0], changes, [len(rows)]]))
        return found

    def __getstate__(self) -> dict[str, Any]:
        # What is mapped into memory is mapped anew in another process.
        return {name: value for name, value in vars(self).items() if name not in _MAPPED}


def find_sources(
    paths: Sequence[Path], others: Sequence[Path] = (), *, listener: Listener = silent
) -> tuple[list[Catalog], list[Catalog]]:
    """The slices of datasets to learn from, and those of others to validate on.

    Slices whose label is that of a whole volume are left out, and of the first those that share a
    group with any of the others.

    Raises:
        FalxError: a dataset can't be used.
    """
    learned, held = ([_catalog(path, listener) for path in each] for each in (paths, others))
    return [_without(catalog, held) for catalog in learned], held


def read_source(
    catalog: Catalog, folder: Path, rendering: Rendering, *, listener: Listener = silent
) -> Source:
    """The views of a catalog, as `find_sources` gives it.

    Args:
        folder: to keep views in; those that are there already are taken.

    Raises:
        UnreadableImage: a file changed, or a mask can't be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, n, size = catalog.table, len(catalog), rendering.size
    digest = f"{catalog.digest()[:16]}-{size}"
    files = [folder / f"{what}-{digest}.npy" for what in ("views", "covers")]
    if not all(file.is_file() for file in files):
        written = [file.with_suffix(".partial") for file in files]
        views, covers = (
            np.lib.format.open_memmap(file, "w+", np.uint8, (n, size, size)) for file in written
        )
        _render(catalog, rendering, views, covers, listener)
        views.flush()
        covers.flush()
        for source, target in zip(written, files, strict=True):
            source.rename(target)
    tumors = catalog.labels > 0
    outlined = ~tumors | (table["mask"].fillna("") != "").to_numpy()
    name, groups = catalog.root.name, catalog.groups
    return Source(name, catalog.digest(), files[0], files[1], tumors, outlined, groups)


def _catalog(path: Path, listener: Listener) -> Catalog:
    catalog = build_catalog(path, listener=listener).usable()
    if not has_negative(catalog.classes):
        raise BadInput(
            f"'{path}' has no class that means no tumor ({', '.join(catalog.classes)}); rename one "
            "to 'no', or leave the dataset out."
        )
    kept = catalog.table[~catalog.table["weak_label"].astype(bool)].reset_index(drop=True)
    if len(kept) < len(catalog):
        logger.warning(
            "%d slices of '%s' are left out: their label is that of a whole volume.",
            len(catalog) - len(kept), path,
        )  # fmt: skip
    return replace(catalog, table=kept)


def _without(catalog: Catalog, held: Sequence[Catalog]) -> Catalog:
    """A catalog without the slices that share a group with any of some others."""
    for other in held:
        related = shares_group_with(other.table, catalog.table)
        logger.info(
            "%d of %d slices of %s share a group with a slice of %s and are left out",
            related.sum(), len(catalog), catalog.root.name, other.root.name,
        )  # fmt: skip
        catalog = replace(catalog, table=catalog.table[~related].reset_index(drop=True))
    counts = (catalog.labels > 0).sum(), (catalog.labels == 0).sum()
    if not all(counts):
        raise UnusableData(
            f"Of '{catalog.root.name}', {counts[0]} slices with a tumor and {counts[1]} without "
            "are left; name another dataset, or fewer with --validate-on."
        )
    return catalog


def _render(
    catalog: Catalog,
    rendering: Rendering,
    views: np.ndarray,
    covers: np.ndarray,
    listener: Listener,
) -> None:
    """Fill the plain views of a catalog, and what its masks outline in them."""
    done = 0
    for file in outlined_files(catalog, np.arange(len(catalog))):
        for row, slice_ in file.slices.items():
            views[row], region = render_with_region(slice_.pixels, rendering, catalog.head(row))
            outline = file.outline(row)
            if outline is not None:
                covers[row] = np.rint(_SCALE * shown_in(region, outline, rendering.size))
            done += 1
            listener(Progress("Rendering", done, len(catalog)))
