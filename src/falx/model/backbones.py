"""The convolutional networks below the head, by name."""

from __future__ import annotations

import warnings

import keras

from falx.errors import BadInput
from falx.model.localization import with_localization
from falx.recipe import Backbone

TRAINING_MOMENTUM = 0.9


def build_backbone(backbone: Backbone, size: int | None, weights: str | None) -> keras.Model:
    """A backbone without its top: (batch, size, size, 3) -> (batch, size / 32, size / 32, depth).

    With its localization head it gives (batch, size / 8, size / 8, 1), see falx.model.localization.

    Args:
        size: a multiple of 32, or None for any such size.
        weights: path of a Keras weights file, or None for random initialization.

    Raises:
        BadInput: the weights are not those of this backbone.
    """
    network = keras.applications.MobileNetV2(
        input_shape=(size, size, 3),
        alpha=backbone.width,
        include_top=False,
        weights=None,
        name=f"mobilenetv2_{backbone.width:.2f}_{size or 'any'}",
    )
    if backbone.localization:
        network = with_localization(network)
    if weights is not None:
        _load(network, weights, backbone)
    if backbone.normalization == "training":
        set_batch_norm_momentum(network, TRAINING_MOMENTUM)
    return network


def set_batch_norm_momentum(network: keras.Model, momentum: float) -> None:
    """Set the momentum of the moving statistics of all batch normalization layers.

    MobileNetV2's momentum of 0.999 is meant for a million images; after a few hundred steps the
    statistics would still be those of the initialization, and inference would see noise.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def _load(network: keras.Model, weights: str, backbone: Backbone) -> None:
    try:
        with warnings.catch_warnings():
            # Keras only warns about layers that are missing in a file, and leaves them random.
            warnings.simplefilter("error", UserWarning)
            network.load_weights(weights)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        head = " with a localization head" if backbone.localization else ""
        raise BadInput(
            f"The weights '{weights}' are truncated or not those of MobileNetV2 of width "
            f"{backbone.width}{head}; copy the file again, name another one, or set backbone.width."
        ) from error
