"""What is foreign to a network, by its own features."""

import keras
import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from falx.errors import BrokenRun
from falx.model.network import backbone_of, build_network, network_input
from falx.model.reference import FILE, LAYER, LAYER_NUMBER, Reference, reference_network
from falx.recipe import load_recipe, recipe_names
from falx.training.reference import familiar_limit, fit_reference, trains_reference


def drawn(n, seed=0, channels=12):
    """Features that lean on one another, in groups of two that are nearly alike."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(channels, channels))
    each = np.repeat(rng.normal(size=(n // 2, channels)), 2, axis=0) @ mixing
    return each + rng.normal(0, 0.01, each.shape), np.repeat(np.arange(n // 2), 2)


def test_distances_are_those_of_mahalanobis_with_a_shrunk_covariance():
    features, _ = drawn(60)
    others, _ = drawn(10, seed=1)
    expected = np.sqrt(LedoitWolf().fit(features).mahalanobis(others))
    np.testing.assert_allclose(fit_reference(features).distances(others), expected, rtol=1e-4)


def test_the_limit_is_exceeded_by_one_unseen_slice_in_a_hundred_and_by_all_that_are_other():
    features, groups = drawn(600)
    limit, reference = familiar_limit(features, groups), fit_reference(features)
    unseen, _ = drawn(4000, seed=1)
    assert (reference.distances(unseen) > limit).mean() == pytest.approx(0.01, abs=0.01)
    assert (reference.distances(np.random.default_rng(2).normal(0, 9, (50, 12))) > limit).all()


def test_a_copy_in_training_makes_no_slice_familiar():
    """Each slice is told from those of other groups, so that copies don't draw the limit in."""
    features, groups = drawn(40)
    assert familiar_limit(features, groups) > familiar_limit(features, np.arange(40))


@pytest.mark.parametrize(
    "groups",
    [[0] * 40, [0] * 30 + [*range(1, 11)], [0, 1]],
    ids=["one group", "one with most slices", "two slices"],
)
def test_where_unseen_slices_cannot_be_told_there_is_no_limit(groups):
    features, _ = drawn(40)
    assert familiar_limit(features[: len(groups)], np.array(groups)) is None


def test_two_groups_of_one_size_have_a_limit():
    features, _ = drawn(40)
    assert familiar_limit(features, np.repeat([0, 1], 20)) > 0


def test_slices_that_are_all_alike_have_a_distance_of_zero():
    features = np.full((6, 4), 3.0)
    assert fit_reference(features).distances(features).tolist() == [0.0] * 6


def test_features_are_the_means_of_a_layer_in_the_middle():
    network = build_network(load_recipe("demo").changed({"rendering.size": "64"}), 2)
    views = network_input(np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8))
    found = reference_network(network).predict_on_batch(views)
    backbone = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    middle = keras.Model(backbone.input, backbone.get_layer(LAYER).output)
    scaled = np.repeat(views, 3, axis=3) / 127.5 - 1
    np.testing.assert_allclose(found, middle.predict_on_batch(scaled).mean(axis=(1, 2)), atol=1e-4)


def test_the_layer_has_the_number_that_recipes_count_by():
    network = build_network(load_recipe("demo").changed({"rendering.size": "64"}), 2)
    assert backbone_of(network).layers[LAYER_NUMBER].name == LAYER


@pytest.mark.parametrize("name", recipe_names())
def test_no_shipped_recipe_trains_what_references_are_made_of(name):
    assert not trains_reference(load_recipe(name))


def test_a_recipe_that_trains_from_below_the_layer_does():
    lite = load_recipe("lite")
    assert trains_reference(lite.changed({"phases.1.train_from": "54"}))
    assert not trains_reference(lite.changed({"phases.1.train_from": "57"}))
    never = {"phases.1.train_from": "0", "phases.1.epochs": "0"}
    assert not trains_reference(lite.changed(never))


def test_a_reference_comes_back_from_its_file(tmp_path):
    written = fit_reference(drawn(20)[0])
    written.save(tmp_path)
    for name, values in vars(Reference.load(tmp_path)).items():
        np.testing.assert_array_equal(values, getattr(written, name))


@pytest.mark.parametrize("content", [None, b"", b"half of it"])
def test_a_damaged_reference_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(BrokenRun, match="is missing or damaged; copy the run anew"):
        Reference.load(tmp_path)


def test_half_precision_of_many_slices_does_not_overflow():
    features = np.random.default_rng(0).uniform(0, 0.8, (3000, 64)).astype(np.float16)
    limit, reference = familiar_limit(features, np.arange(3000)), fit_reference(features)
    assert limit > 1
    assert reference.distances(np.full((1, 64), 5.0))[0] > 2 * limit
