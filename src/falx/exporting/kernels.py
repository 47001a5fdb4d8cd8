"""Convolution kernels rounded to 8 bits with the least change of the layers' outputs.

Every int8 runtime rounds a kernel to 255 even steps per output channel. Rounding to nearest loses
all fine-tuning of less than half a step, and the errors add up. Here each weight's rounding error
is compensated by the weights after it, as far as the layer's inputs on calibration slices are
correlated (GPTQ: Frantar et al., ICLR 2023, section 3). Kernels that lie on the steps are not
changed by the quantizers of OpenVINO, ONNX and LiteRT.
"""

from __future__ import annotations

import keras
import numpy as np

from falx.exporting.layers import convolutions, inner_values, is_pointwise
from falx.model.network import backbone_of, copy_network

STEPS = 127
"""Between zero and a channel's largest weight."""

_DAMPING = 0.01
"""Relative to the mean diagonal of the inputs' second moments; the value of the paper."""


def with_rounded_kernels(network: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy of a network with the backbone's kernels rounded to steps of their channels.

    Args:
        network: as returned by `build_network`.
        views: uint8 (n, size, size), of training slices, for calibration.
    """
    copy = copy_network(network)
    backbone = backbone_of(copy)
    products = _input_products(network, views)
    for layer in convolutions(backbone):
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        if layer.name in products:
            rounded = round_kernel(kernel[0, 0], products[layer.name])[None, None]
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            rounded = round_to_nearest(kernel, axes=(0, 1, 3))
        else:
            rounded = round_to_nearest(kernel, axes=(0, 1, 2))
        layer.kernel.assign(rounded)
    return copy


def round_kernel(kernel: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Round the weights of a linear layer by GPTQ, one input after the other.

    Args:
        kernel: (inputs, outputs).
        products: sum over samples of the inputs' outer products, (inputs, inputs).

    Returns:
        Multiples from -127 to 127 of 1/127 of each output's largest weight.
    """
    weights = kernel.astype(np.float64)
    step = _step(weights, axes=(0,))[0]
    largest = np.abs(weights).argmax(axis=0)
    damping = _DAMPING * np.diag(products).mean() or 1.0
    inverse = np.linalg.inv(products.astype(np.float64) + damping * np.eye(len(weights)))
    # Row i of this factor distributes the error of input i over the inputs after it.
    factor = np.linalg.cholesky(inverse).T
    rounded = np.empty_like(weights)
    for row, weight in enumerate(weights):
        steps = np.clip(np.rint(weight / step), -STEPS, STEPS)
        # The largest weight decides the step that a quantizer finds, so it stays.
        rounded[row] = np.where(largest == row, np.rint(kernel[row] / step), steps) * step
        error = (weight - rounded[row]) / factor[row, row]
        weights[row + 1 :] -= np.outer(factor[row, row + 1 :], error)
    return rounded.astype(kernel.dtype)


def round_to_nearest(kernel: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    """Each weight rounded to the nearest step of its channel, of which `axes` are the others."""
    weights = kernel.astype(np.float64)
    step = _step(weights, axes)
    return (np.rint(weights / step) * step).astype(kernel.dtype)


def _step(kernel: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    largest = np.abs(kernel).max(axis=axes, keepdims=True)
    return np.where(largest > 0, largest, 1.0) / STEPS


def _input_products(network: keras.Model, views: np.ndarray) -> dict[str, np.ndarray]:
    """The sum of the inputs' outer products for each 1 x 1 convolution, by name."""
    pointwise = [layer for layer in convolutions(backbone_of(network)) if is_pointwise(layer)]
    sums = [np.zeros((layer.kernel.shape[2],) * 2) for layer in pointwise]
    for batch in inner_values(network, [layer.input for layer in pointwise], views):
        for total, values in zip(sums, batch, strict=True):
            rows = values.reshape(-1, values.shape[-1])
            total += rows.T @ rows
    return dict(zip([layer.name for layer in pointwise], sums, strict=True))
