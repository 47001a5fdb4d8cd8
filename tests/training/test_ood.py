"""Out-of-distribution detection by the network's own features."""

import keras
import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from falx.errors import BrokenRun
from falx.model.mahalanobis import ood_feature_network
from falx.model.network import backbone_of, build_network
from falx.model.reference import OOD_LAYER, OOD_LAYER_INDEX, REFERENCE_FILE, MahalanobisReference
from falx.model.scaling import network_input
from falx.recipe import load_recipe, recipe_names
from falx.training.ood import fit_mahalanobis, fit_ood_threshold, trains_ood_layer


def sample(n, seed=0, channels=12):
    """Correlated features, in groups of two that are nearly equal."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(channels, channels))
    each = np.repeat(rng.normal(size=(n // 2, channels)), 2, axis=0) @ mixing
    return each + rng.normal(0, 0.01, each.shape), np.repeat(np.arange(n // 2), 2)


def test_distances_are_those_of_mahalanobis_with_a_shrunk_covariance():
    features, _ = sample(60)
    others, _ = sample(10, seed=1)
    expected = np.sqrt(LedoitWolf().fit(features).mahalanobis(others))
    np.testing.assert_allclose(fit_mahalanobis(features).distances(others), expected, rtol=1e-4)


def test_the_threshold_is_exceeded_by_1_percent_of_unseen_slices_and_by_all_that_are_ood():
    features, groups = sample(600)
    threshold, reference = fit_ood_threshold(features, features, groups), fit_mahalanobis(features)
    unseen, _ = sample(4000, seed=1)
    assert (reference.distances(unseen) > threshold).mean() == pytest.approx(0.01, abs=0.01)
    assert (reference.distances(np.random.default_rng(2).normal(0, 9, (50, 12))) > threshold).all()


def test_near_duplicates_do_not_lower_the_threshold():
    """Distances are to slices of other groups only."""
    features, groups = sample(40)
    each = fit_ood_threshold(features, features, np.arange(40))
    assert fit_ood_threshold(features, features, groups) > each


def test_what_corruption_changes_is_tolerated_and_other_changes_are_not():
    """Slices differ in ten directions and not in the last two; corruption moves them in one."""
    rng = np.random.default_rng(0)

    def slices(n):
        return np.hstack([rng.normal(size=(n, 10)), 0.01 * rng.normal(size=(n, 2))])

    def corrupted(features):
        shift = np.zeros_like(features)
        shift[:, 10] = rng.uniform(0, 1, len(features))
        return features + shift

    features, groups = slices(4000), np.arange(4000)
    changed = corrupted(features)
    reference = fit_mahalanobis(np.concatenate([features, changed]))
    threshold = fit_ood_threshold(features, changed, groups)
    unseen = slices(1000)
    alien = unseen.copy()
    alien[:, 11] += 1
    assert (reference.distances(unseen) > threshold).mean() == pytest.approx(0.01, abs=0.015)
    assert (reference.distances(corrupted(unseen)) > threshold).mean() < 0.05
    assert (reference.distances(alien) > threshold).all()
    plain = fit_mahalanobis(features)
    assert (plain.distances(corrupted(unseen)) > threshold).mean() > 0.5


@pytest.mark.parametrize(
    "groups",
    [[0] * 40, [0] * 30 + [*range(1, 11)], [0, 1]],
    ids=["one group", "one with most slices", "two slices"],
)
def test_without_enough_groups_there_is_no_threshold(groups):
    features = sample(40)[0][: len(groups)]
    assert fit_ood_threshold(features, features, np.array(groups)) is None


def test_two_groups_of_equal_size_have_a_threshold():
    features, _ = sample(40)
    assert fit_ood_threshold(features, features, np.repeat([0, 1], 20)) > 0


def test_identical_slices_have_a_distance_of_zero():
    features = np.full((6, 4), 3.0)
    assert fit_mahalanobis(features).distances(features).tolist() == [0.0] * 6


def test_features_are_the_averages_of_a_layer_in_the_middle():
    network = build_network(load_recipe("demo").changed({"rendering.size": "64"}), 2)
    views = network_input(np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8))
    found = ood_feature_network(network).predict_on_batch(views)
    backbone = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    middle = keras.Model(backbone.input, backbone.get_layer(OOD_LAYER).output)
    scaled = np.repeat(views, 3, axis=3) / 127.5 - 1
    np.testing.assert_allclose(found, middle.predict_on_batch(scaled).mean(axis=(1, 2)), atol=1e-4)


def test_the_layer_index_is_that_of_unfreeze_from():
    network = build_network(load_recipe("demo").changed({"rendering.size": "64"}), 2)
    assert backbone_of(network).layers[OOD_LAYER_INDEX].name == OOD_LAYER


@pytest.mark.parametrize("name", recipe_names())
def test_no_shipped_recipe_trains_the_ood_layer(name):
    assert not trains_ood_layer(load_recipe(name))


def test_a_recipe_that_trains_layers_below_the_ood_layer_does():
    lite = load_recipe("lite")
    assert trains_ood_layer(lite.changed({"phases.1.unfreeze_from": "54"}))
    assert not trains_ood_layer(lite.changed({"phases.1.unfreeze_from": "57"}))
    never = {"phases.1.unfreeze_from": "0", "phases.1.epochs": "0"}
    assert not trains_ood_layer(lite.changed(never))


def test_a_reference_can_be_saved_and_loaded(tmp_path):
    written = fit_mahalanobis(sample(20)[0])
    written.save(tmp_path)
    for name, values in vars(MahalanobisReference.load(tmp_path)).items():
        np.testing.assert_array_equal(values, getattr(written, name))


@pytest.mark.parametrize("content", [None, b"", b"half of it"])
def test_a_damaged_reference_is_an_error(content, tmp_path):
    if content is not None:
        (tmp_path / REFERENCE_FILE).write_bytes(content)
    with pytest.raises(BrokenRun, match="is missing or damaged; copy its folder anew"):
        MahalanobisReference.load(tmp_path)


def test_half_precision_of_many_slices_does_not_overflow():
    features = np.random.default_rng(0).uniform(0, 0.8, (3000, 64)).astype(np.float16)
    threshold = fit_ood_threshold(features, features, np.arange(3000))
    reference = fit_mahalanobis(features)
    assert threshold > 1
    assert reference.distances(np.full((1, 64), 5.0))[0] > 2 * threshold
