"""The layers of a backbone that are quantized, and their values for views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import layers

from falx.model.network import backbone_of
from falx.model.scaling import network_input

_BATCH = 8


def convolutions(backbone: keras.Model) -> list[layers.Layer]:
    """All convolutions, in order."""
    kinds = layers.Conv2D | layers.DepthwiseConv2D
    return [layer for layer in backbone.layers if isinstance(layer, kinds)]


def is_pointwise(layer: layers.Layer) -> bool:
    """Whether a layer is a 1 x 1 convolution over all channels."""
    full = isinstance(layer, layers.Conv2D) and not isinstance(layer, layers.DepthwiseConv2D)
    return full and tuple(layer.kernel_size) == (1, 1)


def inner_values(network: keras.Model, tensors: Any, views: np.ndarray) -> Iterator[Any]:
    """The values of tensors inside the backbone of a network, a few views at a time.

    Args:
        tensors: symbolic, in a list or a list of lists; the values come in the same structure.
        views: uint8 (n, size, size).
    """
    inner = keras.Model(backbone_of(network).input, tensors)
    probe = keras.Model(network.inputs, inner(network.get_layer("scale").output))
    for start in range(0, len(views), _BATCH):
        yield probe.predict_on_batch(network_input(views[start : start + _BATCH]))
