"""The feature bank: trunk outputs of views, computed once and kept.

A row is one view of one slice. Rows are filled once, before a training needs them, so folds, seeds
and later runs that look at the same views through the same trunk find them there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from falx.model.network import network_input
from falx.parallel import ahead
from falx.progress import Listener, Progress, silent
from falx.training.shelf import GIGABYTE, RowStore, Shelf, digest_of
from falx.training.trunk import Trunk
from falx.training.views import MIRRORED, Views

logger = logging.getLogger(__name__)

_PIECE = 16
"""Views that one thread renders while the trunk works on as many others."""


class Source(Protocol):
    """What a network is trained from, by number of view and rows of slices."""

    def prepare(self, wanted: dict[int, np.ndarray], listener: Listener = silent) -> None:
        """Compute what can be kept, ahead of its use: rows by number of view."""

    def take(self, number: int, rows: np.ndarray) -> np.ndarray:
        """Inputs (rows, ...) of one view of some slices, float16 or float32."""


class PlainSource:
    """Views themselves, for a network of which nothing is frozen."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def prepare(self, wanted: dict[int, np.ndarray], listener: Listener = silent) -> None:
        """There is nothing to compute."""

    def take(self, number: int, rows: np.ndarray) -> np.ndarray:
        """Grey levels float32 (rows, size, size, 1)."""
        return network_input(self._views.take(number, rows))


class FeatureBank:
    """Features of views, on disk as far as there is room, computed anew beyond it."""

    def __init__(self, views: Views, trunk: Trunk, shelf: Shelf, numbers: int) -> None:
        """Open or begin a bank.

        Args:
            numbers: of views that it may hold of each slice, from 0; it also holds `MIRRORED`.
        """
        self._views = views
        self._trunk = trunk
        self._shelf = shelf
        self._name = f"bank-{digest_of(views.digest, trunk.digest)}"
        shape = ((numbers + 1) * len(views), *trunk.shape)
        with shelf.lock:
            self._store = RowStore(shelf.entry(self._name), "features", shape, np.float16)
        self._row_bytes = 2 * int(np.prod(trunk.shape))

    def close(self) -> None:
        """Let the bank be removed when its room is needed."""
        self._shelf.release(self._name)

    def prepare(self, wanted: dict[int, np.ndarray], listener: Listener = silent) -> None:
        """Compute the features of some rows of each view, as far as the shelf has room for them."""
        missing = {}
        for number, rows in wanted.items():
            lacking = self._store.missing(self._places(number, rows))
            if len(lacking):
                missing[number] = lacking - self._places(number, 0)
        needed = sum(map(len, missing.values())) * self._row_bytes
        room = self._shelf.make_room(needed)
        logger.info(
            "feature bank: %.2f GB to compute in %s; room for %.2f GB",
            needed / GIGABYTE, self._name, room / GIGABYTE,
        )  # fmt: skip
        kept, total = {}, 0
        for number, rows in missing.items():
            size = len(rows) * self._row_bytes
            if total + size <= room:
                kept[number] = rows
                total += size
        if len(kept) < len(missing):
            logger.warning(
                "The feature bank has no room for %d of %d views, which are computed anew "
                "whenever they are needed; %s to keep them.",
                len(missing) - len(kept), len(missing), self._shelf.advice(needed),
            )  # fmt: skip
        self._fill(kept, f"{needed / GIGABYTE:.2f} GB", listener)

    def take(self, number: int, rows: np.ndarray) -> np.ndarray:
        """Features float16 (rows, ...)."""
        places = self._places(number, rows)
        if len(self._store.missing(places)):
            return np.concatenate(list(self._computed(_pieces({number: rows}))))
        return self._store.read(places)

    def _fill(self, missing: dict[int, np.ndarray], remark: str, listener: Listener) -> None:
        batches = _pieces(missing)
        results = zip(batches, self._computed(batches), strict=True)
        for done, ((number, rows), features) in enumerate(results, start=1):
            self._store.write(self._places(number, rows), features)
            listener(Progress("Feature bank", done, len(batches), remark))

    def _computed(self, batches: list[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
        return self._trunk.run(ahead(lambda item: self._views.take(*item), batches))

    def _places(self, number: int, rows: Any) -> Any:
        """Where one view of some slices lies in the store."""
        return (number - MIRRORED) * len(self._views) + rows


def _pieces(wanted: dict[int, np.ndarray]) -> list[tuple[int, np.ndarray]]:
    """Rows by number of view, a few at a time."""
    return [
        (number, rows[start : start + _PIECE])
        for number, rows in wanted.items()
        for start in range(0, len(rows), _PIECE)
    ]
