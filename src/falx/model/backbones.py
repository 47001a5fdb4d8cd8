"""The convolutional networks below the head, by name."""

from __future__ import annotations

import keras

from falx.recipe import Backbone

TRAINING_MOMENTUM = 0.9


def build_backbone(backbone: Backbone, size: int, weights: str | None) -> keras.Model:
    """A backbone without its top: (batch, size, size, 3) -> (batch, size / 32, size / 32, depth).

    Args:
        weights: path of a Keras weights file, or None for random initialization.
    """
    network = keras.applications.MobileNetV2(
        input_shape=(size, size, 3),
        alpha=backbone.width,
        include_top=False,
        weights=weights,
        name=f"mobilenetv2_{backbone.width:.2f}_{size}",
    )
    if backbone.normalization == "training":
        _hasten_statistics(network)
    return network


def _hasten_statistics(network: keras.Model) -> None:
    """Let running statistics follow within tens of steps.

    MobileNetV2's momentum of 0.999 is meant for a million images; after a few hundred steps the
    statistics would still be those of the initialization, and inference would see noise.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = TRAINING_MOMENTUM
