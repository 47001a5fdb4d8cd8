"""The network is that of the paper, takes raw gray levels, and stays frozen where it should."""

import h5py
import keras
import numpy as np
import pytest

from falx.errors import BadInput
from falx.model.network import backbone_of, build_network, set_trainable
from falx.model.scaling import network_input
from falx.recipe import load_recipe, recipe_names

SMALL = {"rendering.size": "64", "backbone.width": "0.35"}


def small(recipe="lite", **changes):
    return load_recipe(recipe).changed({**SMALL, **changes})


def gray_levels(n=4, size=64):
    return network_input(np.random.default_rng(0).integers(0, 256, (n, size, size), np.uint8))


def test_the_paper_recipe_has_the_papers_parameters_layer_by_layer():
    network = build_network(load_recipe("paper"), classes=2)
    backbone = backbone_of(network)
    assert backbone.name == "mobilenetv2_1.00_224"
    assert backbone.output.shape == (None, 7, 7, 1280)
    counts = {layer.name: layer.count_params() for layer in network.layers}
    assert counts["mobilenetv2_1.00_224"] == 2_257_984
    assert network.get_layer("flatten").output.shape == (None, 62_720)
    assert counts["hidden"] == 8_028_288
    assert counts["normalize"] == 512
    assert network.get_layer("dropout").rate == 0.5
    assert counts["logits"] == 129
    assert network.count_params() == 10_286_913


def test_the_lite_recipe_has_2_3_million_parameters():
    assert build_network(load_recipe("lite"), classes=2).count_params() == 2_257_984 + 1_281


@pytest.mark.parametrize("recipe", recipe_names())
@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (4, 4)])
def test_every_recipe_builds_runs_and_saves(recipe, classes, outputs, tmp_path):
    network = build_network(small(recipe), classes=classes)
    logits = network.predict(gray_levels(), verbose=0)
    assert logits.shape == (4, outputs)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(again.predict(gray_levels(), verbose=0), logits)


@pytest.mark.parametrize(
    ("scaling", "low", "high"), [("zero_one", 0.0, 1.0), ("minus_one_one", -1.0, 1.0)]
)
def test_scaling_and_replication_are_inside_the_network(scaling, low, high):
    network = build_network(small(**{"backbone.scaling": scaling}), classes=2)
    inner = keras.Model(network.input, network.get_layer("scale").output)
    black, white = np.zeros((1, 64, 64, 1), np.float32), np.full((1, 64, 64, 1), 255, np.float32)
    np.testing.assert_allclose(inner(black), np.full((1, 64, 64, 3), low), atol=1e-6)
    np.testing.assert_allclose(inner(white), np.full((1, 64, 64, 3), high), atol=1e-6)


def test_a_frozen_phase_trains_the_head_only():
    recipe = small()
    network = build_network(recipe, classes=2)
    set_trainable(network, recipe, recipe.phases[0])
    assert [variable.path.split("/")[0] for variable in network.trainable_variables] == [
        "logits"
    ] * 2


def test_fine_tuning_trains_the_layers_from_unfreeze_from_on():
    recipe = small()
    network = build_network(recipe, classes=2)
    set_trainable(network, recipe, recipe.phases[1])
    trained = [
        number for number, layer in enumerate(backbone_of(network).layers) if layer.trainable
    ]
    assert min(trained) == 100


def test_batch_normalization_keeps_its_statistics_during_fine_tuning():
    recipe = small(**{"head.dropout": "0"})
    network = build_network(recipe, classes=2)
    set_trainable(network, recipe, recipe.phases[1])
    layers = keras.layers.BatchNormalization
    normalizations = [layer for layer in backbone_of(network).layers if isinstance(layer, layers)]
    before = [np.array(layer.moving_mean) for layer in normalizations]
    network.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    network.fit(gray_levels(8), np.arange(8) % 2, epochs=1, verbose=0)
    for layer, mean in zip(normalizations, before, strict=True):
        np.testing.assert_array_equal(layer.moving_mean, mean)
    np.testing.assert_allclose(
        network(gray_levels(), training=True), network(gray_levels(), training=False), atol=1e-6
    )


def test_with_normalization_in_training_mode_statistics_are_updated():
    recipe = small(**{"backbone.normalization": "training", "phases.0.unfreeze_from": "0"})
    network = build_network(recipe, classes=2)
    set_trainable(network, recipe, recipe.phases[0])
    first = backbone_of(network).get_layer("bn_Conv1")
    network.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    network.fit(gray_levels(8), np.arange(8) % 2, epochs=1, verbose=0)
    assert np.abs(np.array(first.moving_mean)).max() > 0


def test_all_weights_of_a_backbone_are_loaded(tmp_path):
    recipe = small()
    file = tmp_path / "mine.weights.h5"
    theirs = backbone_of(build_network(recipe, classes=2))
    theirs.save_weights(file)
    ours = backbone_of(build_network(recipe, classes=4, weights=str(file)))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("content", ["another width", "another network", "nothing"])
def test_weights_of_another_network_are_an_error(tmp_path, content):
    file = tmp_path / "other.weights.h5"
    if content == "another width":
        backbone_of(build_network(small(**{"backbone.width": "0.5"}), classes=2)).save_weights(file)
    elif content == "another network":
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(file)
    else:
        h5py.File(file, "w").close()
    with pytest.raises(BadInput, match=r"not those of MobileNetV2 of width 0\.35"):
        build_network(small(), classes=2, weights=str(file))
