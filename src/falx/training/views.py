"""What a network is shown: the plain view of each slice, and augmented views anew each epoch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from falx.data.catalog import Catalog
from falx.data.read import read_slices
from falx.errors import BadInput
from falx.image import augment, tone
from falx.image.render import render
from falx.parallel import in_parallel
from falx.progress import Listener, silent
from falx.recipe import Augmentation, Rendering
from falx.training.shelf import GIGABYTE, RowStore, Shelf, digest_of

PLAIN = 0
"""The number of the view that is not augmented."""

MIRRORED = -1
"""The number of the plain view whose left and right change places."""

VERSION = 2
"""To be raised when the same slice is read, rendered or augmented to other pixels."""


@dataclass(frozen=True)
class Views:
    """The views of all slices, by number.

    View 0 is the plain one, view -1 its mirror image; others are augmented, and a function of the
    slice's content, the number and the augmentation alone. So splits, seeds and runs that look at
    the same view of the same slice see the same pixels, and can share what is computed from them.

    Attributes:
        plain: uint8 (n, size, size).
        contents: what each slice is, by its file's content: uint64 (n,).
        ranges: of the augmentation.
        digest: what names these views, all of them.
    """

    plain: np.ndarray
    contents: np.ndarray
    ranges: Augmentation
    digest: str

    def __len__(self) -> int:
        return len(self.plain)

    def take(self, number: int, rows: np.ndarray) -> np.ndarray:
        """One view of some slices: uint8 (rows, size, size)."""
        if number == PLAIN:
            return self.plain[rows]
        if number == MIRRORED:
            return self.plain[rows][:, :, ::-1]
        return np.stack([self._view(number, int(row)) for row in rows])

    def _view(self, number: int, row: int) -> np.ndarray:
        seed = (self.ranges.seed, number, int(self.contents[row]))
        generator = np.random.default_rng(seed)
        # The warp is drawn first, so that it is the same whatever becomes of the grey levels.
        warp, tones = augment.draw(generator, self.ranges), tone.draw(generator, self.ranges)
        return tone.apply(tones, augment.apply(warp, self.plain[row]))


def render_views(
    catalog: Catalog,
    rendering: Rendering,
    shelf: Shelf,
    ranges: Augmentation | None = None,
    *,
    listener: Listener = silent,
) -> Views:
    """The views of every row of a catalog without problems, in order.

    Plain views are kept on the shelf, so that memory stays flat and a later run needs no decoding.

    Raises:
        BadInput: a file has changed since it was cataloged, or the shelf is too small.
    """
    names, plain = _identities(catalog), plain_digest(catalog, rendering)
    shape = (len(catalog), rendering.size, rendering.size)
    with shelf.lock:
        store = RowStore(shelf.entry(f"views-{plain}"), "plain", shape, np.uint8)
    missing = store.missing(np.arange(len(catalog)))
    needed = len(missing) * rendering.size**2
    if needed > shelf.make_room(needed):
        raise BadInput(
            f"The views of {len(catalog)} slices take {needed / GIGABYTE:.2g} GB, for which there "
            f"is no room; {shelf.advice(needed)}."
        )
    _render_rows(catalog, rendering, store, missing, listener)
    contents = np.array([int(digest_of(name)[:16], 16) for name in names], np.uint64)
    ranges = ranges or Augmentation()
    digest = digest_of(plain, ranges.model_dump(mode="json"))
    return Views(store.whole(), contents, ranges, digest)


def plain_digest(catalog: Catalog, rendering: Rendering) -> str:
    """What names the plain views of a catalog's rows, before any is rendered."""
    names = _identities(catalog)
    return digest_of(VERSION, cv2.__version__, names, rendering.model_dump(mode="json"))


def _render_rows(
    catalog: Catalog, rendering: Rendering, store: RowStore, rows: np.ndarray, listener: Listener
) -> None:
    by_path = catalog.table.iloc[rows].groupby("path", sort=False).indices
    files = [np.asarray(some) for some in by_path.values()]
    numbers = catalog.table["index"].to_numpy(np.int64)
    contents = catalog.table["sha256"].to_numpy()

    def views_of(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        of_file = rows[some]
        file = catalog.file(of_file[0])
        slices = {slice_.index: slice_ for slice_ in read_slices(file)}
        # What is kept goes by the content that the catalog names.
        same = hashlib.sha256(file.read_bytes()).hexdigest() == contents[of_file[0]]
        if not (same and set(numbers[of_file].tolist()) <= set(slices)):
            raise BadInput(f"'{file}' changed while falx was using it; run again.")
        rendered = [render(slices[int(numbers[row])].pixels, rendering) for row in of_file]
        return of_file, np.stack(rendered)

    for of_file, views in in_parallel(views_of, files, "Rendering", listener):
        store.write(of_file, views)


def _identities(catalog: Catalog) -> list[str]:
    """The content of each row: its file's, and the slice's place in it."""
    table = catalog.table
    return [f"{sha}:{index}" for sha, index in zip(table["sha256"], table["index"], strict=True)]
