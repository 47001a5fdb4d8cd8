"""Views of slices: plain, augmented anew for each epoch, mirrored, and corrupted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from falx.data.catalog import Catalog
from falx.data.read import read_slices
from falx.errors import BadInput
from falx.image import augment, tone
from falx.image.corruptions import CORRUPTIONS
from falx.image.render import render, to_levels
from falx.parallel import in_parallel
from falx.progress import Listener, silent
from falx.recipe import Augmentation, Rendering
from falx.training.disk_cache import GIGABYTE, DiskCache, RowStore, digest_of

PLAIN = 0
"""Index of the plain view, which is not augmented."""

FLIPPED = -1
"""Index of the plain view flipped horizontally."""

CORRUPTED = -2
"""Index of the plain view with one random corruption, for the out-of-distribution reference."""

LOWEST = CORRUPTED
"""The lowest index of a view."""

VERSION = 4
"""To be raised when the same slice is read, rendered or augmented to different pixels."""

_CORRUPTED_BY = ("blur", "noise", "Rician noise", "skull stripping")
"""Corruptions of view `CORRUPTED`, of up to the amount of strength 2: those that the distance from
plain views alone is most sensitive to (see docs/robustness.md)."""
_CORRUPTED_SEED = 2


@dataclass(frozen=True)
class Views:
    """The views of all slices, by index.

    View 0 is the plain one, view -1 its mirror image, view -2 the plain one corrupted; the others
    are augmented. A view is a function of the slice's content, the index and the augmentation
    alone, so splits, seeds and runs that use the same view of the same slice share what is computed
    from it.

    Attributes:
        plain: uint8 (n, size, size).
        content_ids: hash of each slice's content, uint64 (n,).
        augmentation: of the views from 1 on.
        digest: identifies all of these views.
    """

    plain: np.ndarray
    content_ids: np.ndarray
    augmentation: Augmentation
    digest: str

    def __len__(self) -> int:
        return len(self.plain)

    def take(self, view: int, rows: np.ndarray) -> np.ndarray:
        """One view of some slices: uint8 (rows, size, size)."""
        if view == PLAIN:
            return self.plain[rows]
        if view == FLIPPED:
            return self.plain[rows][:, :, ::-1]
        if view == CORRUPTED:
            return np.stack([self._corrupted(int(row)) for row in rows])
        return np.stack([self._augmented(view, int(row)) for row in rows])

    def _corrupted(self, row: int) -> np.ndarray:
        generator = np.random.default_rng((_CORRUPTED_SEED, int(self.content_ids[row])))
        name = _CORRUPTED_BY[int(generator.integers(len(_CORRUPTED_BY)))]
        corruption = CORRUPTIONS[name]
        amount = float(generator.uniform(0, corruption.at(2)))
        pixels = self.plain[row].astype(np.float32) / 255
        return to_levels(corruption.apply(pixels, amount, generator))

    def _augmented(self, view: int, row: int) -> np.ndarray:
        generator = np.random.default_rng(
            (self.augmentation.seed, view, int(self.content_ids[row]))
        )
        # The warp is drawn first, so that it does not depend on the gray-level transforms.
        warp = augment.draw(generator, self.augmentation)
        levels = tone.draw(generator, self.augmentation)
        return tone.apply(levels, augment.apply(warp, self.plain[row]))


def render_views(
    catalog: Catalog,
    rendering: Rendering,
    cache: DiskCache,
    augmentation: Augmentation | None = None,
    *,
    listener: Listener = silent,
) -> Views:
    """The views of all rows of a catalog of usable slices, in order.

    Plain views are cached on disk, so that memory use stays flat and later runs decode nothing.

    Raises:
        BadInput: a file has changed since it was cataloged, or the cache is too small.
    """
    slice_ids, plain = _slice_ids(catalog), plain_digest(catalog, rendering)
    shape = (len(catalog), rendering.size, rendering.size)
    with cache.lock:
        store = RowStore(cache.entry(f"views-{plain}"), "plain", shape, np.uint8)
    missing = store.missing(np.arange(len(catalog)))
    needed = len(missing) * rendering.size**2
    if needed > cache.make_room(needed):
        raise BadInput(
            f"The views of {len(catalog)} slices take {needed / GIGABYTE:.2g} GB, for which there "
            f"is no room; {cache.advice(needed)}."
        )
    _render_rows(catalog, rendering, store, missing, listener)
    content_ids = np.array([int(digest_of(each)[:16], 16) for each in slice_ids], np.uint64)
    augmentation = augmentation or Augmentation()
    digest = digest_of(plain, augmentation.model_dump(mode="json"))
    return Views(store.array, content_ids, augmentation, digest)


def plain_digest(catalog: Catalog, rendering: Rendering) -> str:
    """A digest that identifies the plain views of a catalog, before any is rendered."""
    parts = (_slice_ids(catalog), _heads(catalog), rendering.model_dump(mode="json"))
    return digest_of(VERSION, cv2.__version__, *parts)


def _render_rows(
    catalog: Catalog, rendering: Rendering, store: RowStore, rows: np.ndarray, listener: Listener
) -> None:
    by_path = catalog.table.iloc[rows].groupby("path", sort=False).indices
    rows_by_file = [rows[np.asarray(positions)] for positions in by_path.values()]
    indices = catalog.table["index"].to_numpy(np.int64)
    hashes = catalog.table["sha256"].to_numpy()

    def render_file(file_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        file = catalog.file(file_rows[0])
        slices = {slice_.index: slice_ for slice_ in read_slices(file)}
        # Cached views are identified by the hash in the catalog.
        unchanged = hashlib.sha256(file.read_bytes()).hexdigest() == hashes[file_rows[0]]
        if not (unchanged and set(indices[file_rows].tolist()) <= set(slices)):
            raise BadInput(f"'{file}' changed while falx was using it; run again.")
        rendered = [
            render(slices[int(indices[row])].pixels, rendering, catalog.head(row))
            for row in file_rows
        ]
        return file_rows, np.stack(rendered)

    for file_rows, views in in_parallel(render_file, rows_by_file, "Rendering", listener):
        store.write(file_rows, views)


def _slice_ids(catalog: Catalog) -> list[str]:
    """Hash of the file and index within the file of each row."""
    table = catalog.table
    return [f"{sha}:{index}" for sha, index in zip(table["sha256"], table["index"], strict=True)]


def _heads(catalog: Catalog) -> list[str]:
    """The head's box of each row; in a volume, it is not that of the file alone."""
    columns = ["head_top", "head_left", "head_bottom", "head_right"]
    return [":".join(map(str, edges)) for edges in catalog.table[columns].to_numpy().tolist()]
