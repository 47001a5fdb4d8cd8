"""The feature banks of one trainer, one for each trunk."""

from __future__ import annotations

import keras

from falx.recipe import Precision
from falx.training.bank import FeatureBank, FeatureSource, ViewSource
from falx.training.disk_cache import DiskCache
from falx.training.trunk import compile_trunk, trunk_digest
from falx.training.views import Views


class BankPool:
    """Opens the bank of a trunk when it is first needed, and closes banks that are no longer used.

    Trunks are compared by digest, so phases and trainings with the same frozen layers and weights
    share a bank.
    """

    def __init__(
        self, views: Views, cache: DiskCache, *, precision: Precision, view_count: int
    ) -> None:
        """Begin without banks.

        Args:
            precision: arithmetic of the trunks.
            view_count: number of views per slice that a bank can hold, from 0 on.
        """
        self._views = views
        self._cache = cache
        self._precision = precision
        self._view_count = view_count
        self._banks: dict[str, FeatureBank] = {}
        self._unshared: set[str] = set()

    def __len__(self) -> int:
        return len(self._banks)

    def source(self, trunk: keras.Model | None, *, shared: bool = True) -> FeatureSource:
        """The bank of a trunk, or the views themselves where there is no trunk.

        Args:
            shared: whether other trainings have the same trunk; not if this training has trained
                layers of it in an earlier phase.
        """
        if trunk is None:
            return ViewSource(self._views)
        digest = trunk_digest(trunk, self._precision)
        if digest not in self._banks:
            compiled = compile_trunk(trunk, digest, self._cache, self._precision)
            self._banks[digest] = FeatureBank(self._views, compiled, self._cache, self._view_count)
            if not shared:
                self._unshared.add(digest)
        return self._banks[digest]

    def close_unshared(self) -> None:
        """Close the banks that no other training uses."""
        for digest in self._unshared:
            self._banks.pop(digest).close()
        self._unshared.clear()

    def close(self) -> None:
        """Close all banks."""
        for bank in self._banks.values():
            bank.close()
        self._banks.clear()
        self._unshared.clear()
