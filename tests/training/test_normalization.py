"""Batch normalization by one operation is Keras' own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from falx.model.backbones import build_backbone, follow_batches
from falx.recipe import Backbone
from falx.training.normalization import hastened


@pytest.fixture
def networks():
    """A plain backbone with two classes, and its hastened twin."""
    backbone = build_backbone(Backbone(width=0.35, normalization="training"), 64, None)
    follow_batches(backbone, 0.5)
    return backbone, hastened(backbone)


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(8, 64, 64, 3)).astype(np.float32)


def test_answers_are_the_same_in_training_and_in_inference(networks, inputs) -> None:
    for training, tolerance in ((False, 1e-5), (True, 5e-3)):  # Fifty layers add up rounding.
        ours, theirs = (np.array(network(inputs, training=training)) for network in networks)
        np.testing.assert_allclose(ours, theirs, atol=tolerance)


def test_moving_statistics_follow_alike_and_go_back_to_the_plain_network(networks, inputs) -> None:
    plain, hasty = networks
    for network in networks:
        network(inputs, training=True)
    kinds = (layer for layer in plain.layers if isinstance(layer, keras.layers.BatchNormalization))
    layer = next(kinds)
    first = (layer, hasty.get_layer(layer.name))
    ours, theirs = (np.array(layer.moving_variance) for layer in first)
    n = 8 * 32 * 32
    # That of a sample against that of a population, over the half that is new.
    np.testing.assert_allclose(theirs - 0.5, (ours - 0.5) * n / (n - 1), rtol=1e-4)
    plain.set_weights(hasty.get_weights())
    np.testing.assert_allclose(np.array(plain(inputs)), np.array(hasty(inputs)), atol=1e-4)
