"""The whole network: raw grey levels in, logits out.

Replication to three channels and scaling are layers of the network, so no runtime can get them
wrong. Two classes have one logit, more have one each (see falx.model.heads).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from falx.errors import BadInput
from falx.model.backbones import build_backbone
from falx.model.folding import folded
from falx.model.heads import apply_head
from falx.recipe import Phase, Precision, Recipe

SCALES = {"zero_one": (1 / 255, 0.0), "minus_one_one": (1 / 127.5, -1.0)}
_TRUNK = "trunk"
_STILL = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D)
"""Layers of a head that have nothing to learn and nothing random."""


@dataclass(frozen=True)
class Parts:
    """A network cut where a phase begins to train; both parts are made of its own layers.

    Attributes:
        trunk: grey levels -> features, all of it frozen; None where nothing is.
        rest: features, or grey levels where there is no trunk -> logits.
    """

    trunk: keras.Model | None
    rest: keras.Model


def build_network(
    recipe: Recipe, classes: int, weights: str | None = None, *, seed: int = 0
) -> keras.Model:
    """The network of a recipe: grey levels float32 (batch, size, size, 1), [0, 255] -> logits.

    Args:
        classes: how many; two share one logit.
        weights: path of backbone weights, or None for random initialization.
        seed: of all that is random, dropout during training included.
    """
    size = recipe.rendering.size
    keras.utils.set_random_seed(seed)
    backbone = build_backbone(recipe.backbone, size, weights)
    scale, offset = SCALES[recipe.backbone.scaling]
    grey = keras.Input((size, size, 1), name="grey_levels")
    channels = keras.layers.Concatenate(name="replicate")([grey, grey, grey])
    scaled = keras.layers.Rescaling(scale, offset, name="scale")(channels)
    # Once more, so that the head depends on nothing that was drawn for the backbone.
    keras.utils.set_random_seed(seed)
    logits = apply_head(recipe.head, backbone(scaled), 1 if classes == 2 else classes)
    return keras.Model(grey, logits, name=recipe.name)


def renew_head(network: keras.Model, recipe: Recipe, *, seed: int) -> None:
    """Give the head of a network the variables that `build_network` would give it by that seed."""
    features = keras.Input(backbone_of(network).output.shape[1:])
    keras.utils.set_random_seed(seed)
    fresh = keras.Model(features, apply_head(recipe.head, features, network.output.shape[1]))
    for layer in fresh.layers[1:]:
        for old, new in zip(network.get_layer(layer.name).variables, layer.variables, strict=True):
            old.assign(new)


def part_network(
    network: keras.Model, recipe: Recipe, phase: Phase, precision: Precision = "fp32"
) -> Parts:
    """Freeze what a phase does not train, and cut the network there.

    The cut is the last place below the first trained layer where one tensor carries all, so that
    no shortcut of a residual block crosses it.

    Args:
        precision: of the convolutions in the rest.
    """
    set_trainable(network, recipe, phase)
    backbone = backbone_of(network)
    head = network.layers[network.layers.index(backbone) + 1 :]
    trained = [number for number, layer in enumerate(backbone.layers) if layer.trainable_weights]
    if not trained:
        still = [layer for layer in head if isinstance(layer, _STILL)]
        trunk = keras.Model(network.input, still[-1].output, name=_TRUNK)
        return Parts(trunk, _chain(still[-1], head))
    cut = _narrow_place(backbone, trained[0])
    if cut == 0:
        values = folded(backbone, precision)(network.get_layer("scale").output)
        return Parts(None, keras.Model(network.input, _applied(head, values)))
    middle = backbone.layers[cut].output
    lower = keras.Model(backbone.input, middle, name="lower")
    upper = keras.Model(middle, backbone.output)
    trunk = keras.Model(network.input, lower(network.get_layer("scale").output), name=_TRUNK)
    features = keras.Input(middle.shape[1:], name="features")
    values = folded(upper, precision)(features)
    return Parts(trunk, keras.Model(features, _applied(head, values)))


def set_trainable(network: keras.Model, recipe: Recipe, phase: Phase) -> None:
    """Freeze the backbone below the layer at which a phase starts to train.

    With `backbone.normalization: inference`, batch normalization stays frozen throughout: it
    keeps its statistics, which a few small batches would ruin. Calling the backbone with
    training=False, as the Keras tutorial does, is not enough: since Keras 3, `fit` overrides it
    inside a functional model, and the statistics move after all.
    """
    layers = backbone_of(network).layers
    first = len(layers) if phase.train_from == "head" else phase.train_from
    if first > len(layers):
        raise BadInput(
            f"Phase '{phase.name}' trains from layer {first}, and the backbone has {len(layers)}; "
            "set train_from lower."
        )
    keep = recipe.backbone.normalization == "inference"
    for number, layer in enumerate(layers):
        frozen = keep and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = number >= first and not frozen


def backbone_of(network: keras.Model) -> keras.Model:
    """The backbone inside a network that `build_network` made."""
    return next(layer for layer in network.layers if isinstance(layer, keras.Model))


def copied(network: keras.Model) -> keras.Model:
    """A network of the same layers and values that shares no variable."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def cool(network: keras.Model, temperature: float) -> None:
    """Divide the logits of a network by a temperature: its last layer is, so all else holds."""
    last = network.get_layer("logits")
    last.set_weights([values / temperature for values in last.get_weights()])


def _narrow_place(backbone: keras.Model, below: int) -> int:
    """The last layer before layer `below` that no connection passes by."""
    number = {layer.name: place for place, layer in enumerate(backbone.layers)}
    reach = np.zeros(len(backbone.layers), int)
    for place, layer in enumerate(backbone.layers[1:], start=1):
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            source = number[tensor._keras_history.operation.name]
            reach[source] = max(reach[source], place)
    furthest = np.maximum.accumulate(np.concatenate([[0], reach[:-1]]))
    return int(np.flatnonzero(furthest[:below] <= np.arange(below))[-1])


def _chain(last: keras.layers.Layer, head: list[keras.layers.Layer]) -> keras.Model:
    """The layers of a head after one of them, as a network."""
    features = keras.Input(last.output.shape[1:], name="features")
    return keras.Model(features, _applied(head[head.index(last) + 1 :], features))


def _applied(layers: list[keras.layers.Layer], values: Any) -> Any:
    for layer in layers:
        values = layer(values)
    return values


def network_input(views: np.ndarray) -> np.ndarray:
    """Views uint8 (n, size, size) as the network takes them: float32 (n, size, size, 1)."""
    return views[..., None].astype(np.float32)
