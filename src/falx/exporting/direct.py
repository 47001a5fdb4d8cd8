"""MobileNetV2 with a linear head as an OpenVINO graph, built from arrays, without Keras.

What a recipe that only fits a linear head needs: features of views, and the detector. The function
is that of falx.exporting.graph, to which tests hold it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino
import openvino.opset13 as ops

from falx.exporting.arrays import BLOCKS, HEAT_MAPS, MAP, Convolution, Convolutions
from falx.exporting.runtimes import INPUT, OUTPUTS
from falx.model.reference import OOD_LAYER, MahalanobisReference
from falx.model.scaling import INPUT_SCALING
from falx.recipe import Recipe

_STRIDE_2 = ("Conv1", "block_1", "block_3", "block_6", "block_13")
_SPATIAL = (2, 3)
_BATCH, _CHANNELS, _WIDTH = 0, 1, 3


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear layer on pooled features.

    Attributes:
        kernel: float32 (depth, k).
        bias: float32 (k,).
    """

    kernel: np.ndarray
    bias: np.ndarray


def feature_graph(recipe: Recipe, convolutions: Convolutions) -> openvino.Model:
    """Gray levels float32 (batch, size, size, 1) -> pooled features, and those of OOD detection.

    Both float32 (batch, depth), in one array, the pooled ones first.
    """
    gray = _gray(recipe)
    last, middle = _backbone(recipe, convolutions, gray)
    features = ops.concat([_pooled(recipe, last), _averaged(middle)], 1)
    return openvino.Model([features], [gray], "features")


def cell_feature_graph(recipe: Recipe, convolutions: Convolutions) -> openvino.Model:
    """Gray levels -> features of cells, which the last layer of a localization head is applied to.

    Float32 (batch, cells, depth), with cells row by row.
    """
    gray, depth = _gray(recipe), convolutions[MAP].kernel.shape[1]
    # Features are what the network would give, were its last layer the identity.
    identity = Convolution(np.eye(depth)[:, :, None, None], np.zeros(depth))
    values, _ = _backbone(recipe, {**convolutions, MAP: identity}, gray)
    flat = ops.reshape(values, _constant([0, depth, -1]), True)
    return openvino.Model([ops.transpose(flat, _constant([0, 2, 1]))], [gray], "cells")


def detector_graph(
    recipe: Recipe, convolutions: Convolutions, head: LinearHead, reference: MahalanobisReference
) -> openvino.Model:
    """Gray levels -> `OUTPUTS`, as falx.exporting.openvino.write_network writes them."""
    gray = _gray(recipe)
    views = ops.concat([gray, _mirrored(gray, 2)], _BATCH) if recipe.flip_tta else gray
    last, middle = _backbone(recipe, convolutions, views)
    logits, heat_maps = _head(recipe, last, head)
    if recipe.flip_tta:
        logits = _mean_of_halves(logits)
        heat_maps = _mean_of_halves(heat_maps, mirrored=True)
        middle = ops.split(middle, _constant(_BATCH), 2).output(0)
    outputs = (
        logits,
        ops.transpose(heat_maps, _constant([0, 2, 3, 1])),
        _probabilities(logits, head),
        _distances(_averaged(middle), reference),
    )
    for node, name in zip(outputs, OUTPUTS, strict=True):
        node.output(0).get_tensor().set_names({name})
    return openvino.Model(list(outputs), [gray], recipe.name)


def pooled_depth(recipe: Recipe, convolutions: Convolutions) -> int:
    """Number of pooled features."""
    return 1 if recipe.backbone.localization else len(convolutions["Conv_1"].bias)


def _gray(recipe: Recipe) -> Any:
    size = recipe.rendering.size
    gray = ops.parameter([-1, size, size, 1], np.float32, name=INPUT)
    gray.output(0).get_tensor().set_names({INPUT})
    return gray


def _backbone(recipe: Recipe, convolutions: Convolutions, gray: Any) -> tuple[Any, Any]:
    """What the head pools, and the layer of OOD detection: (batch, channels, rows, columns)."""
    scale, offset = INPUT_SCALING[recipe.backbone.scaling]
    scaled = ops.add(ops.multiply(gray, _constant(scale)), _constant(offset))
    values = ops.transpose(scaled, _constant([0, 3, 1, 2]))
    # Three equal channels are one, with the sum of their kernels.
    first = convolutions["Conv1"]
    summed = Convolution(first.kernel.sum(axis=1, keepdims=True), first.bias)
    values = _relu6(_convolved(values, {"Conv1": summed}, "Conv1", stride=2))
    taps = {}
    for block in ("expanded_conv", *(f"block_{number}" for number in range(1, BLOCKS + 1))):
        inputs = values
        if f"{block}_expand" in convolutions:
            values = _relu6(_convolved(values, convolutions, f"{block}_expand"))
            taps[f"{block}_expand_relu"] = values
        stride = 2 if block in _STRIDE_2 else 1
        values = _relu6(_convolved(values, convolutions, f"{block}_depthwise", stride=stride))
        values = _convolved(values, convolutions, f"{block}_project")
        if (
            stride == 1
            and inputs.output(0).get_partial_shape()[1] == values.output(0).get_partial_shape()[1]
        ):
            values = ops.add(inputs, values)
    last = _relu6(_convolved(values, convolutions, "Conv_1"))
    if recipe.backbone.localization:
        fine, middle = taps["block_6_expand_relu"], taps["block_13_expand_relu"]
        return _localized(convolutions, fine, middle, last), taps[OOD_LAYER]
    return last, taps[OOD_LAYER]


def _localized(convolutions: Convolutions, fine: Any, middle: Any, coarse: Any) -> Any:
    """The cells of the localization head, as falx.model.localization.with_localization has them."""
    merged = _convolved(coarse, convolutions, "coarse_lateral")
    for features, name, rounds in ((middle, "middle", 1), (fine, "fine", 2)):
        lateral = _convolved(features, convolutions, f"{name}_lateral")
        merged = ops.relu(ops.add(_doubled(merged), lateral))
        for number in range(rounds):
            merged = _convolved(merged, convolutions, f"{name}_{number}_depthwise")
            merged = ops.relu(_convolved(merged, convolutions, f"{name}_{number}_pointwise"))
    return _convolved(merged, convolutions, MAP)


def _head(recipe: Recipe, values: Any, head: LinearHead) -> tuple[Any, Any]:
    """Logits (batch, k) and heat maps (batch, k, rows, columns); see falx.model.attribution."""
    if recipe.backbone.localization:
        logits = ops.add(
            ops.matmul(_evidence(values), _constant(head.kernel), False, False),
            _constant(head.bias),
        )
        return logits, ops.sigmoid(values)
    rows, columns = (values.output(0).get_partial_shape()[axis].get_length() for axis in _SPATIAL)
    kernel = head.kernel.T[:, :, None, None] / (rows * columns)
    contributions = Convolution(kernel, np.zeros(len(kernel), np.float32))
    heat_maps = _convolved(values, {HEAT_MAPS: contributions}, HEAT_MAPS)
    logits = ops.reduce_sum(heat_maps, _constant(_SPATIAL), False)
    return ops.add(logits, _constant(head.bias)), heat_maps


def _pooled(recipe: Recipe, values: Any) -> Any:
    return _evidence(values) if recipe.backbone.localization else _averaged(values)


def _evidence(cells: Any) -> Any:
    """The logarithm of the sum of the odds of cells: (batch, 1)."""
    largest = ops.reduce_max(cells, _constant(_SPATIAL), True)
    total = ops.reduce_sum(ops.exp(ops.subtract(cells, largest)), _constant(_SPATIAL), False)
    return ops.add(ops.log(total), ops.squeeze(largest, _constant(_SPATIAL)))


def _averaged(values: Any) -> Any:
    return ops.reduce_mean(values, _constant(_SPATIAL), False)


def _convolved(values: Any, convolutions: Convolutions, name: str, *, stride: int = 1) -> Any:
    convolution, depthwise = convolutions[name], name.endswith("depthwise")
    side = convolution.kernel.shape[-1]
    # Views have even sides, for which Keras pads strided convolutions at the end alone.
    begin = [0, 0] if stride == 2 else [side // 2] * 2
    strides, end, dilations = [stride] * 2, [side // 2] * 2, [1, 1]
    kernel = convolution.kernel
    if depthwise:
        weights = _constant(kernel[:, None])
        result = ops.group_convolution(values, weights, strides, begin, end, dilations)
    else:
        result = ops.convolution(values, _constant(kernel), strides, begin, end, dilations)
    # By these names, falx.exporting.arrays reads the network back.
    result.set_friendly_name(name)
    return ops.add(result, _constant(convolution.bias[None, :, None, None]))


def _relu6(values: Any) -> Any:
    return ops.clamp(values, 0.0, 6.0)


def _doubled(values: Any) -> Any:
    """Twice the rows and columns, each repeated."""
    return ops.interpolate(
        values, _constant(np.array([2, 2], np.float32)), "nearest", "scales",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        axes=_constant(_SPATIAL),
    )  # fmt: skip


def _mirrored(values: Any, axis: int) -> Any:
    length = values.output(0).get_partial_shape()[axis].get_length()
    return ops.gather(values, _constant(np.arange(length)[::-1].copy()), _constant(axis))


def _mean_of_halves(values: Any, *, mirrored: bool = False) -> Any:
    """The mean over views and, behind them, their mirror images."""
    upright, flipped = ops.split(values, _constant(_BATCH), 2).outputs()
    if mirrored:
        length = flipped.get_partial_shape()[_WIDTH].get_length()
        flipped = ops.gather(flipped, _constant(np.arange(length)[::-1].copy()), _constant(_WIDTH))
    return ops.multiply(ops.add(upright, flipped), _constant(0.5))


def _probabilities(logits: Any, head: LinearHead) -> Any:
    if len(head.bias) > 1:
        return ops.softmax(logits, 1)
    return ops.sigmoid(ops.concat([ops.negative(logits), logits], 1))


def _distances(features: Any, reference: MahalanobisReference) -> Any:
    centered = ops.subtract(features, _constant(reference.mean))
    whitened = ops.matmul(centered, _constant(reference.whitening), False, False)
    return ops.sqrt(ops.reduce_sum(ops.multiply(whitened, whitened), _constant([1]), False))


def _constant(value: Any) -> Any:
    array = np.asarray(value)
    kind = np.float32 if array.dtype.kind == "f" else np.int64
    return ops.constant(np.array(array, kind, order="C"))
