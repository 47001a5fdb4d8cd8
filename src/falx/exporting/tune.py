"""Scales and offsets of an 8-bit network, tuned so that it answers as the original.

Activations are rounded while it learns, with gradients passing straight through (quantization-aware
training: Jacob et al., CVPR 2018, section 3), and what it learns from are the answers of the
original, not labels (distillation: Hinton et al., 2015). Kernels stay on their 255 steps: only what
batch normalization multiplies by and adds is tuned, and the last layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from falx.exporting.equalize import find_streams
from falx.exporting.layers import inner_values
from falx.model.network import backbone_of, copied, network_input

_STEPS = 40
_BATCH = 24
_RATE = 2e-4
_FEATURES = 0.3
"""Weight of the features' error beside that of the logits, both as shares of their variance."""


class Rounded(layers.Layer):
    """Values in 255 even steps over a range that holds zero; the gradient is that of a clip."""

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # What is zero throughout may have any step.
        self.step = (max(high, 0.0) - min(low, 0.0)) / 255 or 1.0
        self.low = round(min(low, 0.0) / self.step) * self.step

    def call(self, values: Any) -> Any:
        ops = keras.ops
        clipped = ops.clip(values, self.low, self.low + 255 * self.step)
        rounded = ops.round((clipped - self.low) / self.step) * self.step + self.low
        return clipped + ops.stop_gradient(rounded - clipped)


def tuned(network: keras.Model, original: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy of a network with rounded kernels, tuned to answer as the original in 8 bits.

    Args:
        network: as falx.exporting.quantize.prepared gave it, on TensorFlow.
        original: the network that it was made of.
        views: uint8 (n, size, size), of training slices.
    """
    import tensorflow as tf

    copy = copied(network)
    student, teacher = _student(copy, views), _with_features(original)
    variables = [
        variable.value
        for layer in (*backbone_of(copy).layers, copy.get_layer("logits"))
        if isinstance(layer, layers.BatchNormalization | layers.Dense)
        for variable in _tuned_variables(layer)
    ]
    rate = keras.optimizers.schedules.CosineDecay(_RATE, _STEPS)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(variables)

    # TensorFlow says nothing of types.
    @tf.function  # type: ignore[untyped-decorator]
    def step(grey_levels: Any) -> None:
        # Without training=False, normalization would follow the batches.
        targets = teacher(grey_levels, training=False)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            answers = student(grey_levels, training=False)
            shares = [
                tf.reduce_mean((answer - target) ** 2) / tf.math.reduce_variance(target)
                for answer, target in zip(answers, targets, strict=True)
            ]
            loss = shares[0] + _FEATURES * shares[1]
        optimizer.apply(tape.gradient(loss, variables), variables)

    generator = np.random.default_rng(0)
    for _ in range(_STEPS):
        some = generator.choice(len(views), min(_BATCH, len(views)), replace=False)
        step(network_input(views[some]))
    return copy


def _tuned_variables(layer: layers.Layer) -> list[Any]:
    if isinstance(layer, layers.Dense):
        return [layer.kernel, layer.bias]
    return [layer.gamma, layer.beta]


def _student(network: keras.Model, views: np.ndarray) -> keras.Model:
    """The same layers with activations rounded: grey levels -> logits and features."""
    backbone = backbone_of(network)
    ranges = _ranges(network, views)

    def applied(layer: layers.Layer, *values: Any, **_: Any) -> Any:
        result = layer(*values)
        if layer.name in ranges:
            result = Rounded(*ranges[layer.name], name=f"{layer.name}_rounded")(result)
        return result

    rounding = keras.models.clone_model(
        backbone, clone_function=lambda layer: layer, call_function=applied
    )
    scaled = network.get_layer("scale").output
    features = rounding(Rounded(-1.0, 1.0)(scaled))
    values = features
    for layer in network.layers[network.layers.index(backbone) + 1 :]:
        values = layer(values)
    return keras.Model(network.inputs[0], [values, features])


def _with_features(network: keras.Model) -> keras.Model:
    pooling = network.layers[network.layers.index(backbone_of(network)) + 1]
    return keras.Model(network.inputs[0], [network.outputs[0], pooling.input])


def _ranges(network: keras.Model, views: np.ndarray) -> Mapping[str, tuple[float, float]]:
    """Least and largest value of each activation that an 8-bit runtime rounds, by its layer."""
    backbone = backbone_of(network)
    handed_on = {
        part.name for stream in find_streams(backbone) for part in (*stream.makers, *stream.sums)
    }
    chosen = [
        layer
        for layer in backbone.layers
        if isinstance(layer, layers.ReLU) or layer.name in handed_on
    ]
    low, high = np.zeros(len(chosen)), np.zeros(len(chosen))
    for found in inner_values(network, [layer.output for layer in chosen], views):
        low = np.minimum(low, [values.min() for values in found])
        high = np.maximum(high, [values.max() for values in found])
    ends = zip(low.tolist(), high.tolist(), strict=True)
    return dict(zip([layer.name for layer in chosen], ends, strict=True))
