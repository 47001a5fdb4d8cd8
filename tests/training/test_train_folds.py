"""Every slice is tested once a repeat, side by side or not, and a stopped run goes on."""

import numpy as np
import pytest

from falx.data.catalog import build_catalog
from falx.errors import BadInput, UnusableData
from falx.recipe import load_recipe
from falx.training import crossval
from falx.training.crossval import make_folds, train_folds
from falx.training.setup import Setup

RECIPE = load_recipe("lite").changed({
    "rendering.size": "64",
    "backbone.width": "0.35",
    "phases.0.epochs": "2",
    "phases.1.epochs": "1",
})  # fmt: skip


@pytest.fixture(scope="module")
def setup(phantoms, tmp_path_factory):
    from falx.model.network import backbone_of, build_network

    file = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    backbone_of(build_network(RECIPE, 2)).save_weights(file)
    return Setup(build_catalog(phantoms).usable(), RECIPE, file, "fp32", 1)


@pytest.fixture(scope="module")
def folds(setup):
    catalog = setup.catalog
    return make_folds(catalog.labels, catalog.groups, folds=2, repeats=2, seed=0)


@pytest.fixture(scope="module")
def one_by_one(setup, folds, tmp_path_factory):
    """A cross-validation in this process, and the folder that it left."""
    folder = tmp_path_factory.mktemp("folds")
    return train_folds(setup, folds, folder), folder


def test_each_repeat_tests_every_slice_once_and_no_group_is_on_two_sides(folds, setup):
    groups = setup.catalog.groups
    for repeat in (1, 2):
        tested = np.concatenate([fold.split.test for fold in folds if fold.repeat == repeat])
        assert sorted(tested) == list(range(len(groups)))
    for fold in folds:
        seen = np.concatenate([fold.split.train, fold.split.validation])
        assert not set(groups[fold.split.test]) & set(groups[seen])
        assert not set(groups[fold.split.train]) & set(groups[fold.split.validation])
    assert [fold.seed for fold in folds] == [0, 0, 1, 1]
    assert (folds[0].split.names() != folds[2].split.names()).any()


def test_each_fold_gives_a_probability_of_each_test_slice_and_a_history(one_by_one, folds):
    for fold, result in zip(folds, one_by_one[0], strict=True):
        assert result.probabilities.shape == (len(fold.split.test), 2)
        np.testing.assert_allclose(result.probabilities.sum(axis=1), 1)
        assert result.history["epoch"].tolist() == [1, 2, 3]


def test_folds_that_are_done_are_not_trained_again(one_by_one, setup, folds, monkeypatch):
    monkeypatch.setattr(crossval, "_train_fold", None)
    again = train_folds(setup, folds, one_by_one[1])
    for ours, theirs in zip(again, one_by_one[0], strict=True):
        np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


def test_folds_side_by_side_give_what_they_give_one_by_one(one_by_one, setup, folds, tmp_path):
    heard = []
    beside = train_folds(setup, folds, tmp_path, jobs=2, listener=heard.append)
    for ours, theirs in zip(beside, one_by_one[0], strict=True):
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-3)
    assert heard[-1].done == heard[-1].total == len(folds)


def test_a_fold_that_fails_beside_others_ends_them_with_its_reason(setup, folds, tmp_path):
    broken = Setup(
        setup.catalog,
        RECIPE.changed({"phases.0.learning_rate": "1", "phases.1.train_from": "9999"}),
        setup.weights, "fp32", 1,
    )  # fmt: skip
    with pytest.raises(BadInput, match="trains from layer 9999"):
        train_folds(broken, folds, tmp_path, jobs=2)


def test_too_few_groups_for_the_folds_are_told():
    with pytest.raises(UnusableData, match="parts need at least 5"):
        make_folds(np.array([0, 0, 1, 1]), np.arange(4), folds=5, repeats=1, seed=0)


@pytest.mark.parametrize(("folds", "repeats"), [(1, 1), (2, 0)])
def test_a_cross_validation_takes_two_folds_and_a_repeat(folds, repeats):
    with pytest.raises(BadInput, match="takes two folds and a repeat"):
        make_folds(np.arange(8) % 2, np.arange(8), folds=folds, repeats=repeats, seed=0)


def test_jobs_are_at_least_one(setup, folds, tmp_path):
    with pytest.raises(BadInput, match="--jobs must be at least 1, got 0"):
        train_folds(setup, folds, tmp_path, jobs=0)
