"""What all trainings of one recipe on one dataset share; light enough to send to a process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from falx.data.cache import cache_folder
from falx.data.catalog import Catalog
from falx.progress import Listener, silent
from falx.recipe import Precision, Recipe
from falx.training.fit import Trainer
from falx.training.shelf import Shelf
from falx.training.views import render_views

BANKS = "banks"


@dataclass(frozen=True)
class Setup:
    """A recipe, its data, and how it is to be computed.

    Attributes:
        catalog: slices without problems.
        weights: file of backbone weights, or None for random initialization.
        precision: of the arithmetic.
        bank_gb: the most that views and features may take on disk.
    """

    catalog: Catalog
    recipe: Recipe
    weights: Path | None
    precision: Precision
    bank_gb: float

    def trainer(self, listener: Listener = silent) -> Trainer:
        """A trainer of its own, on the views that all share."""
        shelf = open_shelf(self.bank_gb)
        if self.weights:
            shelf.hold(self.weights)
        recipe, catalog = self.recipe, self.catalog
        views = render_views(
            catalog, recipe.rendering, shelf, recipe.augmentation, listener=listener
        )
        return Trainer(
            recipe,
            views,
            catalog.labels,
            len(catalog.classes),
            weights=self.weights,
            shelf=shelf,
            precision=self.precision,
            listener=listener,
        )


def open_shelf(bank_gb: float) -> Shelf:
    """The shelf of this machine's user."""
    return Shelf(cache_folder() / BANKS, bank_gb)
