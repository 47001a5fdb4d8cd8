"""Epochs are counted over all phases, and each has its own view."""

from falx.recipe import load_recipe
from falx.training.schedule import (
    backbone_trained_before,
    last_phase,
    phase_views,
    total_epochs,
)

RECIPE = load_recipe("lite").changed({"phases.0.epochs": "3", "phases.1.epochs": "2"})


def test_each_epoch_has_its_own_view_from_1_on():
    assert total_epochs(RECIPE) == 5
    assert list(phase_views(RECIPE, 0)) == [1, 2, 3]
    assert list(phase_views(RECIPE, 1)) == [4, 5]
    assert list(phase_views(RECIPE, 1, done=1)) == [5]


def test_a_phase_without_epochs_is_not_the_last():
    assert last_phase(RECIPE) == 1
    assert last_phase(RECIPE.changed({"phases.1.epochs": "0"})) == 0


def test_the_backbone_is_trained_only_by_phases_that_unfreeze_it():
    assert not backbone_trained_before(RECIPE, 1)
    tuned = RECIPE.changed({"phases.0.unfreeze_from": "100"})
    assert not backbone_trained_before(tuned, 0)
    assert backbone_trained_before(tuned, 1)
    assert not backbone_trained_before(tuned.changed({"phases.0.epochs": "0"}), 1)
