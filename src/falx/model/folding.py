"""Networks with frozen batch normalization folded into the convolutions before it.

With its statistics fixed, normalization is a scale and an offset a channel, and a kernel can be
scaled instead of all that it gives: conv(x, k) s + b = conv(x, k s) + b (Jacob et al., CVPR 2018,
section 3.2). The same variables are trained, by the same gradients up to rounding, with a third of
the passes over memory.
"""

from __future__ import annotations

from typing import Any

import keras

from falx.recipe import Precision

_POLICIES = {"fp32": "float32", "bf16": "mixed_bfloat16"}


class FoldedConvolution(keras.layers.Layer):
    """A convolution and the frozen normalization after it, of whose variables it is made."""

    def __init__(
        self, convolution: keras.layers.Layer, normalization: keras.layers.Layer, dtype: str
    ) -> None:
        # Kernels are scaled in float32, and only then rounded.
        super().__init__(name=f"{convolution.name}_folded", dtype=dtype, autocast=False)
        self.convolution = convolution
        self.normalization = normalization

    def call(self, values: Any) -> Any:
        layer, fixed, ops = self.convolution, self.normalization, keras.ops
        scale = fixed.gamma * ops.rsqrt(fixed.moving_variance + fixed.epsilon)
        offset = fixed.beta - fixed.moving_mean * scale
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        kernel = layer.kernel * (ops.expand_dims(scale, -1) if depthwise else scale)
        convolve = ops.depthwise_conv if depthwise else ops.conv
        rounded = [ops.cast(value, self.compute_dtype) for value in (values, kernel, offset)]
        result = convolve(rounded[0], rounded[1], strides=layer.strides, padding=layer.padding)
        return result + rounded[2]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.convolution.compute_output_shape(input_shape)


def folded(network: keras.Model, precision: Precision) -> keras.Model:
    """The same network, of the same variables, with frozen normalization folded.

    Args:
        network: without other networks inside.
        precision: of the other convolutions, with rounded copies of the kernels; the variables
            themselves stay in float32.
    """
    policy = _POLICIES[precision]
    before = {
        layer.name: layer.input._keras_history.operation
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable
    }
    after = {
        convolution.name: network.get_layer(name)
        for name, convolution in before.items()
        if isinstance(convolution, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)
        and convolution in network.layers
        and not convolution.use_bias
    }
    gone = {normalization.name for normalization in after.values()}

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name in after:
            # Depthwise kernels are small, and their gradients in bfloat16 slow on processors.
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            return FoldedConvolution(
                layer, after[layer.name], _POLICIES["fp32"] if depthwise else policy
            )
        if layer.name in gone:
            return keras.layers.Identity(name=f"{layer.name}_folded", dtype=policy)
        if layer.weights:
            return layer
        return type(layer).from_config({**layer.get_config(), "dtype": policy})

    def applied(layer: keras.layers.Layer, *values: Any, **_: Any) -> Any:
        # What else normalization was called with, its replacement does not know.
        return layer(*values)

    return keras.models.clone_model(network, clone_function=replaced, call_function=applied)
