"""What all trainings of one recipe on one dataset share; small enough to send to a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from falx.data.cache import cache_folder
from falx.data.catalog import Catalog
from falx.logs import import_keras
from falx.progress import Listener, silent
from falx.recipe import Precision, Recipe
from falx.training.disk_cache import DiskCache
from falx.training.linear import LinearTrainer, fits_linear_head
from falx.training.trainer import Trainer
from falx.training.views import render_views

_CACHE_NAME = "banks"


@dataclass(frozen=True)
class TrainingSetup:
    """A recipe, its data, and the settings of the machine.

    Attributes:
        catalog: of usable slices.
        weights: file of backbone weights, or None for random initialization.
        precision: arithmetic of the convolutions.
        cache_gb: maximum size of the cache of views and features in GB.
    """

    catalog: Catalog
    recipe: Recipe
    weights: Path | None
    precision: Precision
    cache_gb: float

    @property
    def backend(self) -> str:
        """What computes the training: "openvino", or the backend of Keras."""
        if fits_linear_head(self.recipe, self.weights):
            return "openvino"
        import_keras()
        import keras

        return keras.backend.backend()

    def trainer(self, listener: Listener = silent) -> Trainer:
        """A new trainer, on the views that all trainers share."""
        cache = open_cache(self.cache_gb)
        if self.weights:
            cache.pin(self.weights)
        recipe, catalog = self.recipe, self.catalog
        views = render_views(
            catalog, recipe.rendering, cache, recipe.augmentation, listener=listener
        )
        make: Callable[..., Trainer] = LinearTrainer
        if not fits_linear_head(recipe, self.weights):
            # Importing TensorFlow takes longer than fitting a linear head.
            import_keras()
            from falx.training.fit import KerasTrainer

            make = KerasTrainer
        return make(
            recipe,
            views,
            catalog.labels,
            len(catalog.classes),
            catalog.sources,
            weights=self.weights,
            cache=cache,
            precision=self.precision,
            listener=listener,
        )


def open_cache(cache_gb: float) -> DiskCache:
    """The cache of views, features and pretrained backbones of this user."""
    return DiskCache(cache_folder() / _CACHE_NAME, cache_gb)
