"""A heat map is the contribution of each position to a logit, as by automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from falx.model.attribution import with_heat_maps
from falx.model.network import build_network
from falx.model.scaling import network_input
from falx.recipe import load_recipe

SMALL = {"rendering.size": "96", "backbone.width": "0.35"}
HEADS = {
    "average, linear": {"head.pooling": "average"},
    "average, normalized": {"head.pooling": "average", "head.normalization": "true"},
    "average, hidden": {"head.pooling": "average", "head.hidden": "6"},
    "flatten, linear": {"head.pooling": "flatten"},
    "the paper's": {
        "head.pooling": "flatten", "head.hidden": "6", "head.normalization": "true",
        "head.dropout": "0.5",
    },
}  # fmt: skip
VIEWS = network_input(np.random.default_rng(0).integers(0, 256, (4, 96, 96), np.uint8))


@pytest.fixture(params=HEADS, scope="module")
def head(request):
    return HEADS[request.param]


@pytest.fixture(params=[2, 4], scope="module")
def network(request, head):
    network = build_network(load_recipe("lite").changed(SMALL | head), request.param)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            generator = np.random.default_rng(0)
            for variable in layer.variables:
                variable.assign(generator.uniform(0.2, 1.5, variable.shape))
    return network


def head_of(network):
    pooling = next(layer for layer in network.layers if layer.name in {"flatten", "pool"})
    return keras.Model(pooling.input, network.output), pooling


def test_logits_are_those_of_the_network(network):
    logits, heat_maps = with_heat_maps(network).predict_on_batch(VIEWS)
    np.testing.assert_allclose(logits, network.predict_on_batch(VIEWS), rtol=1e-4, atol=1e-5)
    assert heat_maps.shape == (4, 3, 3, logits.shape[1])


def test_a_heat_map_is_features_times_the_gradient_of_the_logit(network):
    whole, pooling = head_of(network)
    attribution = with_heat_maps(network).layers[-1]
    ours = keras.Model(pooling.input, attribution.output)
    features = tf.constant(
        np.random.default_rng(1).normal(size=(4, *pooling.input.shape[1:])), "float32"
    )
    _, heat_maps = ours(features)
    for k in range(network.output.shape[1]):
        with tf.GradientTape() as tape:
            tape.watch(features)
            logit = tf.reduce_sum(whole(features, training=False)[:, k])
        expected = tf.reduce_sum(features * tape.gradient(logit, features), axis=-1)
        np.testing.assert_allclose(heat_maps[..., k], expected, rtol=1e-3, atol=1e-5)


def test_no_weights_are_added(network):
    assert len(with_heat_maps(network).weights) == len(network.weights)
