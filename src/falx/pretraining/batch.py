"""Batches of views with what is to be learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from falx.model.cells import STRIDE, cells


@dataclass(frozen=True)
class Batch:
    """Views of slices, each with the targets that are known of it.

    Attributes:
        views: uint8 (n, size, size).
        targets: by name, float32 (n, ...): "tumor" (n, 1); "tumor_map" (n, size / 8, size / 8, 1),
            the fraction of each cell that is tumor; perhaps others.
        weights: by name, float32 (n,), of each row in the loss; 0 where a target is not known.
    """

    views: np.ndarray
    targets: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]


def localized_batch(
    views: Sequence[np.ndarray], covers: Sequence[np.ndarray | None], tumors: Sequence[bool]
) -> Batch:
    """A batch of views, of some of which it is known where the tumor is.

    Args:
        views: uint8 (size, size) each.
        covers: of the tumor, float32 (size, size), [0, 1]; None where unknown.
        tumors: whether there is one.
    """
    size = len(views[0])
    unknown = np.zeros((size // STRIDE, size // STRIDE), np.float32)
    maps = [unknown if cover is None else cells(cover) for cover in covers]
    targets = {
        "tumor_map": np.stack(maps)[..., None],
        "tumor": np.array(tumors, np.float32)[:, None],
    }
    weights = {
        "tumor_map": np.array([cover is not None for cover in covers], np.float32),
        "tumor": np.ones(len(views), np.float32),
    }
    return Batch(np.stack(views), targets, weights)


def joined(batches: Sequence[Batch]) -> Batch:
    """One batch of several; targets that one of them lacks are 0 there, with weight 0.

    Weights are scaled so that a mean over all rows is that over the batches with the target.
    """
    n = sum(len(batch.views) for batch in batches)
    targets: dict[str, np.ndarray] = {}
    weights: dict[str, np.ndarray] = {}
    for name in {name for batch in batches for name in batch.targets}:
        having = sum(len(batch.views) for batch in batches if name in batch.targets)
        shape = next(batch.targets[name].shape[1:] for batch in batches if name in batch.targets)
        targets[name] = np.concatenate(
            [
                batch.targets.get(name, np.zeros((len(batch.views), *shape), np.float32))
                for batch in batches
            ]
        )
        weights[name] = np.concatenate(
            [
                batch.weights[name] * np.float32(n / having)
                if name in batch.targets
                else np.zeros(len(batch.views), np.float32)
                for batch in batches
            ]
        )
    return Batch(np.concatenate([batch.views for batch in batches]), targets, weights)
