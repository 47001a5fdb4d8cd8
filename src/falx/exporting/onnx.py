"""A trained network as an ONNX file, for ONNX Runtime on servers, desktops and in browsers."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from falx.exporting.choices import ExportPrecision
from falx.exporting.graph import answering
from falx.exporting.kernels import STEPS
from falx.exporting.runtimes import INPUT
from falx.model.deployed import Deployed
from falx.model.network import network_input

_LARGE = 2**14
"""Weights of a linear layer from which on 8 bits save anything."""

OPSET = 17
"""Of operations; ONNX Runtime has known it since 1.12, of 2022."""


def write_precision(
    deployed: Deployed, file: Path, precision: ExportPrecision, views: np.ndarray
) -> None:
    """Write a network in a precision; see falx.exporting.formats.Format.write."""
    _write_plain(deployed, file)
    if precision == "fp16":
        _halve(file)
    elif precision == "int8":
        _quantize(file, views)
    elif precision == "int8-weights":
        _shrink_weights(file)


def _write_plain(deployed: Deployed, file: Path) -> None:
    import tf2onnx

    # It tells each step of its optimizer.
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    function = answering(deployed)
    tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET, output_path=str(file)
    )


def _halve(file: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(file), keep_io_types=True), file)


def _quantize(file: Path, views: np.ndarray) -> None:
    """Put weights and activations in 8 bits; ranges of activations are those that views span.

    Weights are signed and activations are not, as processors multiply them fastest.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        # Normalization becomes part of the convolution before it, or neither would run in 8 bits.
        fused = Path(folder) / "fused.onnx"
        quant_pre_process(file, fused, skip_symbolic_shape=True)
        quantize_static(
            fused,
            file,
            _Inputs(views),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


class _Inputs:
    """Views one by one, as the quantizer asks for them."""

    def __init__(self, views: np.ndarray) -> None:
        self._views: Iterator[np.ndarray] = iter(network_input(views))

    def get_next(self) -> dict[str, np.ndarray] | None:
        view = next(self._views, None)
        return None if view is None else {INPUT: view[None]}


def _shrink_weights(file: Path) -> None:
    """Store large kernels in 8 bits, an output channel at a time."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(file)
    graph = model.graph
    stored = {each.name: each for each in graph.initializer}
    # Outputs lie first in kernels of convolutions, and last in those of linear layers.
    channels = {"Conv": 0, "MatMul": -1}
    kernels = {node.input[1]: channels[node.op_type] for node in graph.node
               if node.op_type in channels and node.input[1] in stored}  # fmt: skip
    for name, axis in kernels.items():
        kernel = numpy_helper.to_array(stored[name])
        if axis and kernel.size < _LARGE:
            continue
        axis %= kernel.ndim
        others = tuple(each for each in range(kernel.ndim) if each != axis)
        step = np.abs(kernel).max(axis=others, keepdims=True) / STEPS
        steps = np.rint(kernel / np.where(step > 0, step, 1)).astype(np.int8)
        graph.initializer.remove(stored[name])
        for part, values in (("steps", steps), ("step", step.ravel())):
            graph.initializer.append(numpy_helper.from_array(values, f"{name}_{part}"))
        parts = [f"{name}_steps", f"{name}_step"]
        graph.node.insert(0, helper.make_node("DequantizeLinear", parts, [name], axis=axis))
    onnx.save(model, file)
