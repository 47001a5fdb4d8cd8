"""Quantization-aware fine-tuning of an 8-bit network by distillation from the original.

Activations are quantized in training, with the straight-through estimator (quantization-aware
training: Jacob et al., CVPR 2018, section 3), and the targets are the outputs of the original, not
labels (distillation: Hinton et al., 2015). Kernels stay on their 255 steps: only the scales and
offsets of batch normalization and the last layer are tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from falx.exporting.equalize import find_streams
from falx.exporting.layers import inner_values
from falx.model.network import backbone_of, copy_network
from falx.model.scaling import network_input

_STEPS = 40
_BATCH = 24
_LEARNING_RATE = 2e-4
_FEATURE_WEIGHT = 0.3
"""Of the features' mean squared error relative to that of the logits, each over its variance."""


class FakeQuantize(layers.Layer):
    """Values in 255 even steps over a range that includes 0, with a straight-through gradient."""

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Any step does for values that are all zero.
        self.step = (max(high, 0.0) - min(low, 0.0)) / 255 or 1.0
        self.low = round(min(low, 0.0) / self.step) * self.step

    def call(self, values: Any) -> Any:
        ops = keras.ops
        clipped = ops.clip(values, self.low, self.low + 255 * self.step)
        rounded = ops.round((clipped - self.low) / self.step) * self.step + self.low
        return clipped + ops.stop_gradient(rounded - clipped)


def tuned(network: keras.Model, original: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy of a network with rounded kernels, tuned to match the original in 8 bits.

    Args:
        network: as returned by falx.exporting.quantize.prepared, on TensorFlow.
        original: the network that it was prepared from.
        views: uint8 (n, size, size), of training slices.
    """
    import tensorflow as tf

    copy = copy_network(network)
    student, teacher = _student(copy, views), _with_features(original)
    variables = [
        variable.value
        for layer in (*backbone_of(copy).layers, copy.get_layer("logits"))
        if isinstance(layer, layers.BatchNormalization | layers.Dense)
        for variable in _tuned_variables(layer)
    ]
    learning_rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, _STEPS)
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(variables)

    # TensorFlow is untyped.
    @tf.function  # type: ignore[untyped-decorator]
    def step(gray_levels: Any) -> None:
        # Without training=False, batch normalization would use batch statistics.
        targets = teacher(gray_levels, training=False)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = student(gray_levels, training=False)
            errors = [
                tf.reduce_mean((output - target) ** 2) / tf.math.reduce_variance(target)
                for output, target in zip(outputs, targets, strict=True)
            ]
            loss = errors[0] + _FEATURE_WEIGHT * errors[1]
        optimizer.apply(tape.gradient(loss, variables), variables)

    generator = np.random.default_rng(0)
    for _ in range(_STEPS):
        batch = generator.choice(len(views), min(_BATCH, len(views)), replace=False)
        step(network_input(views[batch]))
    return copy


def _tuned_variables(layer: layers.Layer) -> list[Any]:
    if isinstance(layer, layers.Dense):
        return [layer.kernel, layer.bias]
    return [layer.gamma, layer.beta]


def _student(network: keras.Model, views: np.ndarray) -> keras.Model:
    """The same layers with quantized activations: gray levels -> logits and features."""
    backbone = backbone_of(network)
    ranges = _ranges(network, views)

    def quantized(layer: layers.Layer, *values: Any, **_: Any) -> Any:
        result = layer(*values)
        if layer.name in ranges:
            result = FakeQuantize(*ranges[layer.name], name=f"{layer.name}_quantized")(result)
        return result

    quantized_backbone = keras.models.clone_model(
        backbone, clone_function=lambda layer: layer, call_function=quantized
    )
    scaled = network.get_layer("scale").output
    features = quantized_backbone(FakeQuantize(-1.0, 1.0)(scaled))
    values = features
    for layer in network.layers[network.layers.index(backbone) + 1 :]:
        values = layer(values)
    return keras.Model(network.inputs[0], [values, features])


def _with_features(network: keras.Model) -> keras.Model:
    pooling = network.layers[network.layers.index(backbone_of(network)) + 1]
    return keras.Model(network.inputs[0], [network.outputs[0], pooling.input])


def _ranges(network: keras.Model, views: np.ndarray) -> Mapping[str, tuple[float, float]]:
    """Lowest and highest value of each activation that is quantized, by its layer."""
    backbone = backbone_of(network)
    in_streams = {
        part.name for stream in find_streams(backbone) for part in (*stream.producers, *stream.sums)
    }
    activations = [
        layer
        for layer in backbone.layers
        if isinstance(layer, layers.ReLU) or layer.name in in_streams
    ]
    low, high = np.zeros(len(activations)), np.zeros(len(activations))
    for batch in inner_values(network, [layer.output for layer in activations], views):
        low = np.minimum(low, [values.min() for values in batch])
        high = np.maximum(high, [values.max() for values in batch])
    ranges = zip(low.tolist(), high.tolist(), strict=True)
    return dict(zip([layer.name for layer in activations], ranges, strict=True))
