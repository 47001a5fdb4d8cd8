"""Slices of a place, with what a detector's backbone makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.data.catalog import Catalog
from falx.detect.detector import NETWORK_FILE
from falx.exporting.arrays import MAP, read_convolutions
from falx.exporting.direct import cell_feature_graph
from falx.exporting.linear_detector import RECIPE_FILE
from falx.model.weights import weights_sha256
from falx.progress import Listener, silent
from falx.recipe import Recipe, load_recipe
from falx.training.adaptation import LocalSlices
from falx.training.bank import FeatureBank
from falx.training.covers import render_covers
from falx.training.disk_cache import DiskCache, digest_of
from falx.training.linear import LinearTrainer
from falx.training.map_adaptation import LocalCells
from falx.training.openvino_trunk import OpenVinoTrunk
from falx.training.setup import open_cache
from falx.training.views import CORRUPTED, FLIPPED, PLAIN, Views, render_views

VERSION = 1
"""To be raised when the same detector gives different features of cells."""


@dataclass(frozen=True, eq=False)
class LocalData:
    """Slices of a place, with what a detector's backbone makes of them.

    Attributes:
        usable: n slices.
        views: of them.
        pooled: features that the head is applied to, float (n, depth).
        ood_features, corrupted: of the Mahalanobis distance, of plain and of corrupted views,
            float (n, channels).
        cells: of a localization head with labels; None of others.
    """

    usable: Catalog
    views: Views
    pooled: np.ndarray
    ood_features: np.ndarray
    corrupted: np.ndarray
    cells: LocalCells | None = None

    @property
    def slices(self) -> LocalSlices:
        """As the last layers see them."""
        return LocalSlices(self.pooled, self.usable.labels, self.usable.groups, self.cells)


def read_local(
    usable: Catalog,
    place: Path,
    *,
    cache_gb: float,
    labeled: bool = True,
    listener: Listener = silent,
) -> LocalData:
    """Render slices and compute their features.

    Args:
        usable: with the classes of the detector, if they are labeled.
        place: the folder of a detector with a linear head on a frozen backbone.
        cache_gb: largest size of the cache of features, in GB.

    Raises:
        BadInput: a file changed, or the cache is too small.
        UnreadableImage: a mask can't be used.
    """
    recipe, cache = load_recipe(place / RECIPE_FILE), open_cache(cache_gb)
    views = render_views(usable, recipe.rendering, cache, recipe.augmentation, listener=listener)
    trainer = LinearTrainer(
        recipe, views, usable.labels, len(usable.classes), usable.sources,
        weights=place / NETWORK_FILE, cache=cache, listener=listener,
    )  # fmt: skip
    rows = np.arange(len(usable))
    return LocalData(
        usable,
        views,
        trainer.pooled_features(rows),
        trainer.ood_features(rows),
        trainer.ood_features(rows, CORRUPTED),
        _cells(usable, recipe, views, place, cache, listener)
        if recipe.backbone.localization and labeled
        else None,
    )


def _cells(
    usable: Catalog, recipe: Recipe, views: Views, place: Path, cache: DiskCache, listener: Listener
) -> LocalCells:
    weights, rows = place / NETWORK_FILE, np.arange(len(usable))
    convolutions = read_convolutions(weights, localization=True)
    graph = cell_feature_graph(recipe, convolutions)
    shape = tuple(size.get_length() for size in list(graph.outputs[0].get_partial_shape())[1:])
    digest = digest_of("cells", VERSION, weights_sha256(weights), recipe.rendering.size)
    trunk = OpenVinoTrunk(graph, recipe.rendering.size, shape, digest, "fp32")
    bank = FeatureBank(views, trunk, cache, 1)
    tested = (PLAIN, FLIPPED) if recipe.flip_tta else (PLAIN,)
    bank.prepare(dict.fromkeys(tested, rows), listener)
    features = [bank.take(view, rows).astype(np.float32) for view in tested]
    covers, outlined = render_covers(usable, recipe.rendering)
    shown = [covers[:, :, ::-1] if view == FLIPPED else covers for view in tested]
    flat = [each.reshape(len(usable), -1) for each in shown]
    return LocalCells(
        np.stack(features, axis=1), np.stack(flat, axis=1), outlined, convolutions[MAP]
    )
