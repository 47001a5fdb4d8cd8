"""The whole network: raw grey levels in, logits out.

Replication to three channels and scaling are layers of the network, so no runtime can get them
wrong. Two classes have one logit, more have one each (see falx.model.heads).
"""

from __future__ import annotations

import keras
import numpy as np

from falx.errors import BadInput
from falx.model.backbones import build_backbone
from falx.model.heads import apply_head
from falx.recipe import Phase, Recipe

SCALES = {"zero_one": (1 / 255, 0.0), "minus_one_one": (1 / 127.5, -1.0)}


def build_network(recipe: Recipe, classes: int, weights: str | None = None) -> keras.Model:
    """The network of a recipe: grey levels float32 (batch, size, size, 1), [0, 255] -> logits.

    Args:
        classes: how many; two share one logit.
        weights: path of backbone weights, or None for random initialization.
    """
    size = recipe.rendering.size
    backbone = build_backbone(recipe.backbone, size, weights)
    scale, offset = SCALES[recipe.backbone.scaling]
    grey = keras.Input((size, size, 1), name="grey_levels")
    channels = keras.layers.Concatenate(name="replicate")([grey, grey, grey])
    scaled = keras.layers.Rescaling(scale, offset, name="scale")(channels)
    logits = apply_head(recipe.head, backbone(scaled), 1 if classes == 2 else classes)
    return keras.Model(grey, logits, name=recipe.name)


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


def network_input(views: np.ndarray) -> np.ndarray:
    """Views uint8 (n, size, size) as the network takes them: float32 (n, size, size, 1)."""
    return views[..., None].astype(np.float32)
