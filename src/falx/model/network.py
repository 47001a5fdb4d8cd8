"""The whole network: raw gray levels in, logits out.

Replication to three channels and scaling are layers of the network, so no runtime can get them
wrong. Two classes share one logit; with more, each has its own (see falx.model.heads).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from falx.errors import BadInput
from falx.model.backbones import build_backbone
from falx.model.folding import fold_batch_norm
from falx.model.heads import apply_head
from falx.model.localization import Evidence
from falx.model.scaling import INPUT_SCALING
from falx.recipe import Phase, Precision, Recipe

_TRUNK = "trunk"
_STATELESS = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D, Evidence)
"""Layers of a head with neither weights nor random draws."""


@dataclass(frozen=True)
class NetworkParts:
    """A network cut below the first layer that a phase trains; both parts are of its own layers.

    Attributes:
        trunk: gray levels -> features, entirely frozen; None where nothing is frozen.
        tail: features, or gray levels without a trunk -> logits.
    """

    trunk: keras.Model | None
    tail: keras.Model


def build_network(
    recipe: Recipe, classes: int, weights: str | None = None, *, seed: int = 0
) -> keras.Model:
    """The network of a recipe: gray levels float32 (batch, size, size, 1), [0, 255] -> logits.

    Args:
        classes: number of classes; two share one logit.
        weights: path of backbone weights, or None for random initialization.
        seed: of initialization and of dropout during training.
    """
    size = recipe.rendering.size
    keras.utils.set_random_seed(seed)
    backbone = build_backbone(recipe.backbone, size, weights)
    scale, offset = INPUT_SCALING[recipe.backbone.scaling]
    gray = keras.Input((size, size, 1), name="gray_levels")
    channels = keras.layers.Concatenate(name="replicate")([gray, gray, gray])
    scaled = keras.layers.Rescaling(scale, offset, name="scale")(channels)
    # Again, so that the head does not depend on the random draws of the backbone.
    keras.utils.set_random_seed(seed)
    logits = apply_head(recipe.head, backbone(scaled), 1 if classes == 2 else classes)
    return keras.Model(gray, logits, name=recipe.name)


def reinitialize_head(network: keras.Model, recipe: Recipe, *, seed: int) -> None:
    """Set the variables of a head to those that `build_network` creates from a seed."""
    features = keras.Input(backbone_of(network).output.shape[1:])
    keras.utils.set_random_seed(seed)
    head = keras.Model(features, apply_head(recipe.head, features, network.output.shape[1]))
    for layer in head.layers[1:]:
        for old, new in zip(network.get_layer(layer.name).variables, layer.variables, strict=True):
            old.assign(new)


def cut_network(
    network: keras.Model, recipe: Recipe, phase: Phase, precision: Precision = "fp32"
) -> NetworkParts:
    """Freeze what a phase does not train, and cut the network there.

    The cut is the last layer below the first trained one whose output carries all information, so
    that no residual connection crosses it.

    Args:
        precision: of the convolutions in the tail.
    """
    set_trainable(network, recipe, phase)
    backbone = backbone_of(network)
    head = network.layers[network.layers.index(backbone) + 1 :]
    trained = [index for index, layer in enumerate(backbone.layers) if layer.trainable_weights]
    if not trained:
        last = [layer for layer in head if isinstance(layer, _STATELESS)][-1]
        trunk = keras.Model(network.input, last.output, name=_TRUNK)
        features = keras.Input(last.output.shape[1:], name="features")
        logits = _apply_all(head[head.index(last) + 1 :], features)
        return NetworkParts(trunk, keras.Model(features, logits))
    cut = _last_bottleneck(backbone, trained[0])
    if cut == 0:
        values = fold_batch_norm(backbone, precision)(network.get_layer("scale").output)
        return NetworkParts(None, keras.Model(network.input, _apply_all(head, values)))
    middle = backbone.layers[cut].output
    lower = keras.Model(backbone.input, middle, name="lower")
    upper = keras.Model(middle, backbone.output)
    trunk = keras.Model(network.input, lower(network.get_layer("scale").output), name=_TRUNK)
    features = keras.Input(middle.shape[1:], name="features")
    values = fold_batch_norm(upper, precision)(features)
    return NetworkParts(trunk, keras.Model(features, _apply_all(head, values)))


def set_trainable(network: keras.Model, recipe: Recipe, phase: Phase) -> None:
    """Freeze the backbone below the layer from which a phase trains.

    With `backbone.normalization: inference`, batch normalization stays frozen throughout: it
    keeps its statistics, which a few small batches would ruin. Calling the backbone with
    training=False, as the Keras tutorial does, is not enough: since Keras 3, `fit` overrides it
    inside a functional model, and the statistics are updated after all.

    Raises:
        BadInput: the backbone has fewer layers.
    """
    layers = backbone_of(network).layers
    first = len(layers) if phase.unfreeze_from == "head" else phase.unfreeze_from
    if first > len(layers):
        raise BadInput(
            f"Phase '{phase.name}' trains from layer {first}, but the backbone has {len(layers)} "
            "layers; set a lower unfreeze_from."
        )
    inference = recipe.backbone.normalization == "inference"
    for index, layer in enumerate(layers):
        frozen = inference and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = index >= first and not frozen


def backbone_of(network: keras.Model) -> keras.Model:
    """The backbone inside a network that `build_network` returned."""
    return next(layer for layer in network.layers if isinstance(layer, keras.Model))


def copy_network(network: keras.Model) -> keras.Model:
    """A network of the same layers and weights that shares no variable."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def scale_logits(network: keras.Model, temperature: float) -> None:
    """Divide the logits by a temperature, by dividing the weights of the last layer."""
    last = network.get_layer("logits")
    last.set_weights([values / temperature for values in last.get_weights()])


def _last_bottleneck(backbone: keras.Model, below: int) -> int:
    """Index of the last layer before layer `below` that no connection bypasses."""
    indices = {layer.name: index for index, layer in enumerate(backbone.layers)}
    last_use = np.zeros(len(backbone.layers), int)
    for index, layer in enumerate(backbone.layers[1:], start=1):
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            source = indices[tensor._keras_history.operation.name]
            last_use[source] = max(last_use[source], index)
    furthest = np.maximum.accumulate(np.concatenate([[0], last_use[:-1]]))
    return int(np.flatnonzero(furthest[:below] <= np.arange(below))[-1])


def _apply_all(layers: list[keras.layers.Layer], values: Any) -> Any:
    for layer in layers:
        values = layer(values)
    return values
