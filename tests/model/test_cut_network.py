"""A network is cut below the first trained layer, and its parts compute the same."""

import keras
import numpy as np
import pytest

from falx.model.folding import FoldedConvolution
from falx.model.network import backbone_of, build_network, cut_network, reinitialize_head
from falx.model.scaling import network_input
from falx.recipe import Phase, load_recipe

SMALL = {"rendering.size": "64", "backbone.width": "0.35"}
VIEWS = network_input(np.random.default_rng(0).integers(0, 256, (4, 64, 64), np.uint8))


def phase(unfreeze_from):
    return Phase(name="some", epochs=1, learning_rate=1e-3, unfreeze_from=unfreeze_from)


def cut(recipe="paper", unfreeze_from="head", **changes):
    made = load_recipe(recipe).changed({**SMALL, **changes})
    network = build_network(made, 2)
    for layer in backbone_of(network).layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Statistics that differ between channels, like trained ones.
            generator = np.random.default_rng(layer.count_params())
            for variable in layer.variables:
                variable.assign(generator.uniform(0.1, 0.9, variable.shape))
    return network, cut_network(network, made, phase(unfreeze_from))


@pytest.mark.parametrize("recipe", ["paper", "lite"])
@pytest.mark.parametrize("unfreeze_from", ["head", 150, 100, 37, 5])
def test_trunk_and_tail_compute_the_network(recipe, unfreeze_from):
    network, parts = cut(recipe, unfreeze_from)
    features = parts.trunk.predict_on_batch(VIEWS)
    np.testing.assert_allclose(
        parts.tail.predict_on_batch(features), network.predict_on_batch(VIEWS), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("unfreeze_from", ["head", 100, 37])
def test_the_tail_trains_the_variables_of_the_network(unfreeze_from):
    network, parts = cut("paper", unfreeze_from)
    theirs = {variable.path for variable in network.trainable_variables}
    assert {variable.path for variable in parts.tail.trainable_variables} == theirs
    assert not parts.trunk.trainable_variables


def test_flatten_and_pooling_belong_to_the_trunk():
    assert cut("paper")[1].trunk.output.shape == (None, 2 * 2 * 1280)
    assert cut("lite")[1].trunk.output.shape == (None, 1280)


def test_no_residual_connection_crosses_the_cut():
    # Layer 100 is inside block 11, whose residual connection starts at the end of block 10.
    network, parts = cut("paper", 100)
    assert (
        parts.trunk.output.shape == backbone_of(network).get_layer("block_10_project").output.shape
    )


def test_without_frozen_layers_there_is_no_trunk():
    network, parts = cut("lite", 0)
    assert parts.trunk is None
    assert parts.tail.variables == network.variables
    assert parts.tail is not network  # Otherwise phases would share one compiled optimizer.


def test_earlier_cuts_do_not_change_the_trunk():
    from falx.training.trunk import trunk_digest

    network, parts = cut("paper", 100)
    recipe = load_recipe("paper").changed(SMALL)
    cut_network(network, recipe, phase("head"))
    again = cut_network(network, recipe, phase(100))
    assert trunk_digest(again.trunk, "fp32") == trunk_digest(parts.trunk, "fp32")


def test_gradients_of_folded_normalization_are_those_of_the_network():
    import tensorflow as tf

    network, parts = cut("lite", 140, **{"head.dropout": "0"})
    assert any(
        isinstance(layer, FoldedConvolution)
        for inner in parts.tail.layers if isinstance(inner, keras.Model) for layer in inner.layers
    )  # fmt: skip

    def gradients(model, inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(inputs, training=True)))
        variables = {v.path: v.value for v in model.trainable_variables}
        return tape.gradient(loss, variables)

    ours = gradients(parts.tail, parts.trunk(VIEWS, training=False))
    for path, expected in gradients(network, VIEWS).items():
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(ours[path], expected, atol=1e-3 * scale, err_msg=path)


def test_trained_normalization_is_not_folded():
    _, parts = cut("paper", 100, **{"backbone.normalization": "training"})
    inner = next(layer for layer in parts.tail.layers if isinstance(layer, keras.Model))
    # Only the normalization of layer 99 is frozen: training starts at layer 100.
    names = [layer.name for layer in inner.layers if isinstance(layer, FoldedConvolution)]
    assert names == ["block_11_expand_folded"]


def test_bfloat16_is_close_and_leaves_variables_in_float32():
    made = load_recipe("lite").changed(SMALL)
    network = build_network(made, 2)
    exact, rounded = (cut_network(network, made, phase(100), p) for p in ("fp32", "bf16"))
    features = np.random.default_rng(0).normal(size=(4, *exact.trunk.output.shape[1:]))
    one, other = (part.tail.predict_on_batch(features) for part in (exact, rounded))
    assert (one != other).any()
    np.testing.assert_allclose(other, one, rtol=0.1, atol=0.05)
    assert {v.dtype for v in rounded.tail.trainable_variables} == {"float32"}


def test_a_reinitialized_head_is_that_of_a_new_network():
    recipe = load_recipe("paper").changed(SMALL)
    used, new = build_network(recipe, 2, seed=1), build_network(recipe, 2, seed=2)
    reinitialize_head(used, recipe, seed=2)
    for name in ("hidden", "normalize", "dropout", "logits"):
        pairs = zip(used.get_layer(name).variables, new.get_layer(name).variables, strict=True)
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
