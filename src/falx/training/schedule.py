"""The epochs of a recipe, counted over all phases; each epoch has its own view of every slice."""

from __future__ import annotations

from falx.recipe import Recipe


def total_epochs(recipe: Recipe) -> int:
    """Number of epochs of all phases."""
    return sum(phase.epochs for phase in recipe.phases)


def phase_views(recipe: Recipe, index: int, *, done: int = 0) -> range:
    """The views of a phase, one per epoch; view 0 is the plain one.

    Args:
        index: of the phase.
        done: number of its epochs to skip.
    """
    first = 1 + sum(phase.epochs for phase in recipe.phases[:index])
    return range(first + done, first + recipe.phases[index].epochs)


def last_phase(recipe: Recipe) -> int:
    """Index of the last phase that has epochs."""
    return max(index for index, phase in enumerate(recipe.phases) if phase.epochs)


def backbone_trained_before(recipe: Recipe, index: int) -> bool:
    """Whether a phase before another one trains layers of the backbone.

    Args:
        index: of the other phase.
    """
    return any(phase.epochs and phase.unfreeze_from != "head" for phase in recipe.phases[:index])
