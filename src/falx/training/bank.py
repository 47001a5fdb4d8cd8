"""The feature bank: trunk outputs of views, computed once and cached on disk.

A row of a bank is one view of one slice. Rows are computed before a training needs them, so folds,
seeds and later runs that use the same views and the same trunk share them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from falx.model.scaling import network_input
from falx.parallel import prefetch
from falx.progress import Listener, Progress, silent
from falx.training.disk_cache import GIGABYTE, DiskCache, RowStore, digest_of
from falx.training.openvino_trunk import Trunk
from falx.training.views import LOWEST, Views

logger = logging.getLogger(__name__)

_CHUNK = 32
"""Views that one thread renders while the trunk processes the previous ones."""


class FeatureSource(Protocol):
    """The inputs of what a phase trains, by view and row."""

    def prepare(self, rows: Mapping[int, np.ndarray], listener: Listener = silent) -> None:
        """Compute what can be cached, before it is used.

        Args:
            rows: int (rows,), by view.
        """

    def take(self, view: int, rows: np.ndarray) -> np.ndarray:
        """Inputs (rows, ...) of one view of some slices, float16 or float32."""


class ViewSource:
    """The views themselves, for a network without frozen layers."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def prepare(self, rows: Mapping[int, np.ndarray], listener: Listener = silent) -> None:
        """There is nothing to compute."""

    def take(self, view: int, rows: np.ndarray) -> np.ndarray:
        """Gray levels float32 (rows, size, size, 1)."""
        return network_input(self._views.take(view, rows))


class FeatureBank:
    """Features of views, cached as far as the cache has room, otherwise recomputed at each use."""

    def __init__(self, views: Views, trunk: Trunk, cache: DiskCache, view_count: int) -> None:
        """Open or create a bank.

        Args:
            view_count: number of views per slice, from 0 on, besides those below.
        """
        self._views = views
        self._trunk = trunk
        self._cache = cache
        self._name = f"bank-{digest_of(views.digest, trunk.digest)}"
        shape = ((view_count - LOWEST) * len(views), *trunk.shape)
        with cache.lock:
            self._store = RowStore(cache.entry(self._name), "features", shape, np.float16)
        self._row_bytes = 2 * int(np.prod(trunk.shape))

    def close(self) -> None:
        """Allow the bank to be removed from the cache when space is needed."""
        self._cache.unpin(self._name)

    def prepare(self, rows: Mapping[int, np.ndarray], listener: Listener = silent) -> None:
        """Compute the features of some rows, by view, as far as the cache has room for them."""
        missing = {}
        for view, view_rows in rows.items():
            store_rows = self._store.missing(self._store_rows(view, view_rows))
            if len(store_rows):
                missing[view] = store_rows - self._store_rows(view, 0)
        needed = sum(map(len, missing.values())) * self._row_bytes
        room = self._cache.make_room(needed)
        logger.info(
            "feature bank: %.2f GB to compute in %s; room for %.2f GB",
            needed / GIGABYTE, self._name, room / GIGABYTE,
        )  # fmt: skip
        fitting, total = {}, 0
        for view, view_rows in missing.items():
            size = len(view_rows) * self._row_bytes
            if total + size <= room:
                fitting[view] = view_rows
                total += size
        if len(fitting) < len(missing):
            logger.warning(
                "The feature bank has no room for %d of %d views, which are recomputed at each "
                "use; %s to cache them.",
                len(missing) - len(fitting), len(missing), self._cache.advice(needed),
            )  # fmt: skip
        self._fill(fitting, f"{needed / GIGABYTE:.2f} GB", listener)

    def take(self, view: int, rows: np.ndarray) -> np.ndarray:
        """Features float16 (rows, ...)."""
        store_rows = self._store_rows(view, rows)
        if len(self._store.missing(store_rows)):
            return np.concatenate(list(self._compute(_chunks({view: rows}))))
        return self._store.read(store_rows)

    def _fill(self, rows: Mapping[int, np.ndarray], detail: str, listener: Listener) -> None:
        chunks = _chunks(rows)
        results = zip(chunks, self._compute(chunks), strict=True)
        for done, ((view, view_rows), features) in enumerate(results, start=1):
            self._store.write(self._store_rows(view, view_rows), features)
            listener(Progress("Feature bank", done, len(chunks), detail))

    def _compute(self, chunks: list[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
        return self._trunk.run(prefetch(lambda chunk: self._views.take(*chunk), chunks))

    def _store_rows(self, view: int, rows: Any) -> Any:
        """Rows of the store that hold one view of some slices."""
        return (view - LOWEST) * len(self._views) + rows


def _chunks(rows: Mapping[int, np.ndarray]) -> list[tuple[int, np.ndarray]]:
    """View and rows of each chunk."""
    return [
        (view, view_rows[start : start + _CHUNK])
        for view, view_rows in rows.items()
        for start in range(0, len(view_rows), _CHUNK)
    ]
