"""Convolution kernels rounded to 8 bits so that what the network computes changes least.

Every int8 runtime rounds a kernel to 255 even steps, an output channel at a time. Rounded to the
nearest step each, weights lose whatever fine-tuning moved them by less than half a step, and their
errors add up. Here each weight's error is made good by the weights after it, as far as the inputs
that calibration slices give to the layer correlate (GPTQ: Frantar et al., ICLR 2023, section 3). On
the steps already, kernels are then left alone by the quantizers of OpenVINO, ONNX and LiteRT alike.
"""

from __future__ import annotations

import keras
import numpy as np

from falx.exporting.layers import convolutions, inner_values, is_pointwise
from falx.model.network import backbone_of, copied

STEPS = 127
"""From zero to a channel's largest weight."""

_DAMPING = 0.01
"""Of the inputs' mean square, added to each; the value of the paper."""


def with_rounded_kernels(network: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy of a network whose backbone's kernels are multiples of their channel's step.

    Args:
        network: as `build_network` made it.
        views: uint8 (n, size, size), from training; they stand for what layers will be given.
    """
    copy = copied(network)
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
    """Round the weights of a linear layer one input after the other, each making good the last.

    Args:
        kernel: (inputs, outputs).
        products: sum over samples of the inputs' outer products, (inputs, inputs).

    Returns:
        Multiples, from -127 to 127, of the 127th part of each output's largest weight.
    """
    weights = kernel.astype(np.float64)
    step = _step(weights, axes=(0,))[0]
    largest = np.abs(weights).argmax(axis=0)
    damping = _DAMPING * np.diag(products).mean() or 1.0
    inverse = np.linalg.inv(products.astype(np.float64) + damping * np.eye(len(weights)))
    # Row i of this factor says how the inputs after i can stand in for it.
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
    """Each weight at the nearest step of its channel; channels lie along the other axes."""
    weights = kernel.astype(np.float64)
    step = _step(weights, axes)
    return (np.rint(weights / step) * step).astype(kernel.dtype)


def _step(kernel: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    largest = np.abs(kernel).max(axis=axes, keepdims=True)
    return np.where(largest > 0, largest, 1.0) / STEPS


def _input_products(network: keras.Model, views: np.ndarray) -> dict[str, np.ndarray]:
    """Of each 1 x 1 convolution, by name: the sum of its inputs' outer products."""
    chosen = [layer for layer in convolutions(backbone_of(network)) if is_pointwise(layer)]
    sums = [np.zeros((layer.kernel.shape[2],) * 2) for layer in chosen]
    for found in inner_values(network, [layer.input for layer in chosen], views):
        for total, values in zip(sums, found, strict=True):
            rows = values.reshape(-1, values.shape[-1])
            total += rows.T @ rows
    return dict(zip([layer.name for layer in chosen], sums, strict=True))
