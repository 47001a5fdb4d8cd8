"""Recipes, their parts, and the recipes that ship with falx."""

from falx.recipe.fields import (
    Augmentation,
    Backbone,
    Head,
    Optimizer,
    Phase,
    Plateau,
    Precision,
    Pretraining,
    Rendering,
)
from falx.recipe.loading import Recipe, field_names, load_recipe, recipe_names

__all__ = [
    "Augmentation",
    "Backbone",
    "Head",
    "Optimizer",
    "Phase",
    "Plateau",
    "Precision",
    "Pretraining",
    "Recipe",
    "Rendering",
    "field_names",
    "load_recipe",
    "recipe_names",
]
