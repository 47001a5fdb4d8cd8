"""The features of the Mahalanobis distance, by Keras (see falx.model.reference)."""

from __future__ import annotations

import keras

from falx.model.network import backbone_of
from falx.model.reference import OOD_LAYER


def ood_feature_network(network: keras.Model) -> keras.Model:
    """Gray levels -> the features (batch, channels) of the Mahalanobis distance.

    Args:
        network: as returned by `build_network`; the result shares its variables.
    """
    backbone = backbone_of(network)
    lower = keras.Model(backbone.input, backbone.get_layer(OOD_LAYER).output, name="lower")
    middle = lower(network.get_layer("scale").output)
    features = keras.layers.GlobalAveragePooling2D(name="reference")(middle)
    return keras.Model(network.inputs[0], features, name="reference")
