"""Fused batch normalization gives the same results as Keras' own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from falx.model.backbones import build_backbone, set_batch_norm_momentum
from falx.recipe import Backbone
from falx.training.normalization import fuse_batch_norm


@pytest.fixture
def networks():
    """A backbone, and its copy with fused batch normalization."""
    backbone = build_backbone(Backbone(width=0.35, normalization="training"), 64, None)
    set_batch_norm_momentum(backbone, 0.5)
    return backbone, fuse_batch_norm(backbone)


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(8, 64, 64, 3)).astype(np.float32)


def test_outputs_are_the_same_in_training_and_in_inference(networks, inputs) -> None:
    for training, tolerance in ((False, 1e-5), (True, 5e-3)):  # Rounding errors of fifty layers.
        ours, theirs = (np.array(network(inputs, training=training)) for network in networks)
        np.testing.assert_allclose(ours, theirs, atol=tolerance)


def test_moving_statistics_are_updated_alike_and_can_be_copied_back(networks, inputs) -> None:
    plain, fused = networks
    for network in networks:
        network(inputs, training=True)
    normalization = keras.layers.BatchNormalization
    first = next(layer for layer in plain.layers if isinstance(layer, normalization))
    pair = (first, fused.get_layer(first.name))
    ours, theirs = (np.array(layer.moving_variance) for layer in pair)
    n = 8 * 32 * 32
    # The variance of a sample against that of a population, in the half that is new.
    np.testing.assert_allclose(theirs - 0.5, (ours - 0.5) * n / (n - 1), rtol=1e-4)
    plain.set_weights(fused.get_weights())
    np.testing.assert_allclose(np.array(plain(inputs)), np.array(fused(inputs)), atol=1e-4)
