"""The Keras network of a detector, for exports, further training and tests of its heat maps."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from falx.detect.detector import KERAS_FILE, NETWORK_FILE
from falx.errors import BrokenRun
from falx.exporting.arrays import EPSILON, Convolution, normalization_of, read_convolutions
from falx.exporting.linear_detector import HEAD_FILE, RECIPE_FILE, load_head
from falx.model.network import backbone_of, build_network
from falx.recipe import load_recipe


def load_keras(folder: Path) -> keras.Model:
    """The network of a detector folder: gray levels -> calibrated logits.

    Raises:
        BrokenRun: it is missing, or can't be read by this version of Keras.
    """
    file = folder / KERAS_FILE
    if not file.is_file() and (folder / HEAD_FILE).is_file():
        return _built(folder)
    try:
        return keras.saving.load_model(file, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BrokenRun(
            f"'{file}' can't be read by Keras {keras.__version__}; copy the run anew, or train "
            "again."
        ) from error


def keras_file(folder: Path, place: Path) -> Path:
    """The file of the Keras network of a detector folder, written to a place where it has none."""
    file = folder / KERAS_FILE
    if not file.is_file():
        file = place / KERAS_FILE
        load_keras(folder).save(file)
    return file


def _built(folder: Path) -> keras.Model:
    """The network of a linear head, with the values of the detector's."""
    head, recipe = load_head(folder), load_recipe(folder / RECIPE_FILE)
    outputs = head.kernel.shape[1]
    network = build_network(recipe, 2 if outputs == 1 else outputs)
    backbone = backbone_of(network)
    found = read_convolutions(folder / NETWORK_FILE, localization=recipe.backbone.localization)
    for name, convolution in found.items():
        _set(backbone, name, convolution)
    network.get_layer("logits").set_weights([head.kernel, head.bias])
    return network


def _set(backbone: keras.Model, name: str, convolution: Convolution) -> None:
    """Give a layer, and the normalization after it if there is one, the values of a convolution."""
    layer = backbone.get_layer(name)
    axes = (2, 3, 0, 1) if name.endswith("depthwise") else (2, 3, 1, 0)
    kernel, shape = convolution.kernel.transpose(axes), layer.kernel.shape
    # Of three equal channels, the detector has the sum.
    kernel = np.broadcast_to(kernel / (shape[2] // kernel.shape[2]), shape)
    if layer.use_bias:
        layer.set_weights([kernel, convolution.bias])
        return
    layer.set_weights([kernel])
    zeros, ones = np.zeros_like(convolution.bias), np.ones_like(convolution.bias)
    identity = [ones * np.sqrt(1 + EPSILON), convolution.bias, zeros, ones]
    backbone.get_layer(normalization_of(name)).set_weights(identity)
