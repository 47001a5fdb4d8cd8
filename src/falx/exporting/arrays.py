"""The convolutions of MobileNetV2 from a Keras weights file or a detector's network, without Keras.

Batch normalization, which is frozen wherever weights are read so, is folded into the convolution
before it (see falx.model.folding). Both layouts that Keras writes are read: by the names of layers
(Keras 2, as its downloads of ImageNet weights are), and by their kinds and numbers (Keras 3). A
network of falx.exporting.direct names its convolutions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openvino

from falx.errors import BadInput

BLOCKS = 16
"""Inverted residual blocks after the first, `expanded_conv`."""

MAP = "tumor_map"
"""Name of the last convolution of a localization head."""

HEAT_MAPS = "contributions"
"""Name of the convolution that computes heat maps, which is none of the backbone."""

EPSILON = 1e-3
"""Of MobileNetV2's batch normalization."""

_LATERALS = {
    "Conv_1": "coarse_lateral",
    "block_13_expand": "middle_lateral",
    "block_6_expand": "fine_lateral",
}
"""Convolutions of the localization head, by the one whose features they take."""
_MIXED = ("middle_0", "fine_0", "fine_1")
"""Depthwise separable convolutions of the localization head, in order."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution with its bias.

    Attributes:
        kernel: float32 (outputs, inputs, rows, columns); of a depthwise one, (channels, 1, rows,
            columns).
        bias: float32 (outputs,).
    """

    kernel: np.ndarray
    bias: np.ndarray


Convolutions = dict[str, Convolution]
"""By the name of the layer in Keras."""


def read_convolutions(file: Path, *, localization: bool) -> Convolutions:
    """The convolutions of a backbone of any width.

    Args:
        file: of Keras weights, or network.xml of a detector with a linear head.
        localization: whether there is a localization head on it (see falx.model.localization).

    Raises:
        BadInput: these are not the weights of such a backbone.
    """
    if file.suffix == ".xml":
        return _of_network(file)
    try:
        with h5py.File(file) as stored:
            arrays = _numbered(stored) if "layers" in stored else _named(stored)
            found = dict(_backbone(arrays))
            return found | dict(_localization_head(arrays, found)) if localization else found
    except (KeyError, OSError, ValueError, IndexError) as error:
        head = " with a localization head" if localization else ""
        raise BadInput(
            f"The weights '{file}' are truncated or not those of MobileNetV2{head}; copy the file "
            "again, or name another one."
        ) from error


def _of_network(file: Path) -> Convolutions:
    """From a network of falx.exporting.direct, whose operations have the names of layers."""
    found = {}
    for operation in openvino.Core().read_model(file).get_ordered_ops():
        kind, name = operation.get_type_name(), operation.get_friendly_name()
        if kind not in ("Convolution", "GroupConvolution") or name == HEAT_MAPS:
            continue
        kernel = _values(operation.input_value(1))
        (bias,) = operation.output(0).get_target_inputs()
        kernel = kernel[:, 0] if kind == "GroupConvolution" else kernel
        found[name] = Convolution(kernel, _values(bias.get_node().input_value(1)).ravel())
    return found


def _values(output: Any) -> np.ndarray:
    """The constant behind an input, which is converted where it is kept in half precision."""
    node = output.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.array(node.get_data(), np.float32)


def normalization_of(name: str) -> str:
    """The name of the normalization after a convolution of the backbone."""
    return dict(_backbone_names())[name]


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Variables of layers, each kind in order: kernels, and gamma, beta, mean and variance."""

    convolutions: list[np.ndarray]
    depthwise: list[np.ndarray]
    normalizations: list[list[np.ndarray]]
    head_convolutions: list[list[np.ndarray]]
    head_depthwise: list[list[np.ndarray]]


def _backbone_names() -> Iterator[tuple[str, str]]:
    """Layer and its normalization, in order."""
    yield "Conv1", "bn_Conv1"
    for block in ("expanded_conv", *(f"block_{number}" for number in range(1, BLOCKS + 1))):
        parts = ("depthwise", "project") if block == "expanded_conv" else (
            "expand", "depthwise", "project",
        )  # fmt: skip
        yield from ((f"{block}_{part}", f"{block}_{part}_BN") for part in parts)
    yield "Conv_1", "Conv_1_bn"


def _backbone(arrays: _Arrays) -> Iterator[tuple[str, Convolution]]:
    kernels, depthwise = iter(arrays.convolutions), iter(arrays.depthwise)
    names = [name for name, _ in _backbone_names()]
    if len(arrays.normalizations) != len(names):
        raise ValueError("the number of layers is another")
    for name, normalization in zip(names, arrays.normalizations, strict=True):
        is_depthwise = name.endswith("depthwise")
        kernel = _arranged(next(depthwise if is_depthwise else kernels), is_depthwise)
        gamma, beta, mean, variance = normalization
        scale = gamma / np.sqrt(variance + EPSILON)
        yield (
            name,
            Convolution(
                (kernel * scale[:, None, None, None]).astype(np.float32),
                (beta - mean * scale).astype(np.float32),
            ),
        )


def _localization_head(
    arrays: _Arrays, backbone: Convolutions
) -> Iterator[tuple[str, Convolution]]:
    laterals = {len(backbone[source].bias): name for source, name in _LATERALS.items()}
    pointwise = iter(_MIXED)
    for kernel, bias in arrays.head_convolutions:
        inputs, outputs = kernel.shape[2:]
        name = MAP if outputs == 1 else laterals.get(inputs) or f"{next(pointwise)}_pointwise"
        yield name, Convolution(_arranged(kernel, False), bias)
    for name, (kernel, bias) in zip(_MIXED, arrays.head_depthwise, strict=True):
        yield f"{name}_depthwise", Convolution(_arranged(kernel, True), bias)


def _arranged(kernel: np.ndarray, depthwise: bool) -> np.ndarray:
    """A kernel of Keras, (rows, columns, inputs, outputs), as `Convolution` has it."""
    axes = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
    return np.ascontiguousarray(kernel.transpose(axes), np.float32)


def _numbered(stored: h5py.File) -> _Arrays:
    """Of a file of Keras 3, whose layers are numbered by kind."""
    layers = stored["layers"]

    def of_kind(kind: str) -> list[list[np.ndarray]]:
        names = [name for name in layers if re.fullmatch(rf"{kind}(_\d+)?", name)]
        names.sort(key=lambda name: int(name[len(kind) + 1 :] or 0))
        return [
            [layers[name]["vars"][str(index)][()].astype(np.float32) for index in range(count)]
            for name in names
            for count in [len(layers[name]["vars"])]
        ]

    convolutions, depthwise = of_kind("conv2d"), of_kind("depthwise_conv2d")
    # Layers of the backbone have no bias, since normalization follows.
    return _Arrays(
        [each[0] for each in convolutions if len(each) == 1],
        [each[0] for each in depthwise if len(each) == 1],
        of_kind("batch_normalization"),
        [each for each in convolutions if len(each) > 1],
        [each for each in depthwise if len(each) > 1],
    )


def _named(stored: h5py.File) -> _Arrays:
    """Of a file of Keras 2, whose layers have their names."""

    def of(layer: str) -> list[np.ndarray]:
        group = stored[layer]
        return [
            group[name.decode() if isinstance(name, bytes) else name][()].astype(np.float32)
            for name in group.attrs["weight_names"]
        ]

    names = list(_backbone_names())
    depthwise = [name for name, _ in names if name.endswith("depthwise")]
    return _Arrays(
        [of(name)[0] for name, _ in names if name not in depthwise],
        [of(name)[0] for name in depthwise],
        [of(normalization) for _, normalization in names],
        [],
        [],
    )
