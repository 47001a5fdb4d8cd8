"""A trained network as an ONNX file, for ONNX Runtime on servers, on desktops and in browsers."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from falx.exporting.choices import ExportPrecision
from falx.exporting.graph import serving_function
from falx.exporting.kernels import STEPS
from falx.exporting.runtimes import INPUT
from falx.model.exportable import ExportableModel
from falx.model.scaling import network_input

_MIN_WEIGHTS = 2**14
"""Of a linear layer for 8 bits to save space."""

OPSET = 17
"""Supported by ONNX Runtime since 1.12 (2022)."""


def write_precision(
    model: ExportableModel, file: Path, precision: ExportPrecision, views: np.ndarray
) -> None:
    """Write a model in a precision; see falx.exporting.formats.Format.write."""
    _write_fp32(model, file)
    if precision == "fp16":
        _halve(file)
    elif precision == "int8":
        _quantize(file, views)
    elif precision == "int8-weights":
        _shrink_weights(file)


def _write_fp32(model: ExportableModel, file: Path) -> None:
    import tf2onnx

    # It logs each step of its optimizer.
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    function = serving_function(model)
    tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET, output_path=str(file)
    )


def _halve(file: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(file), keep_io_types=True), file)


def _quantize(file: Path, views: np.ndarray) -> None:
    """Quantize weights and activations to 8 bits, over the range of activations on views.

    Signed weights and unsigned activations are multiplied fastest by processors.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        # Batch normalization must be fused with the convolution for either to run in 8 bits.
        fused = Path(folder) / "fused.onnx"
        quant_pre_process(file, fused, skip_symbolic_shape=True)
        quantize_static(
            fused,
            file,
            _CalibrationReader(views),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


class _CalibrationReader:
    """Views one by one, in the interface of ONNX Runtime's CalibrationDataReader."""

    def __init__(self, views: np.ndarray) -> None:
        self._views: Iterator[np.ndarray] = iter(network_input(views))

    def get_next(self) -> dict[str, np.ndarray] | None:
        view = next(self._views, None)
        return None if view is None else {INPUT: view[None]}


def _shrink_weights(file: Path) -> None:
    """Store large kernels in 8 bits, with a step per output channel."""
    import onnx
    from onnx import helper, numpy_helper

    onnx_model = onnx.load(file)
    graph = onnx_model.graph
    initializers = {each.name: each for each in graph.initializer}
    # The axis of output channels.
    channel_axis = {"Conv": 0, "MatMul": -1}
    kernels = {node.input[1]: channel_axis[node.op_type] for node in graph.node
               if node.op_type in channel_axis and node.input[1] in initializers}  # fmt: skip
    for name, axis in kernels.items():
        kernel = numpy_helper.to_array(initializers[name])
        if axis and kernel.size < _MIN_WEIGHTS:
            continue
        axis %= kernel.ndim
        others = tuple(each for each in range(kernel.ndim) if each != axis)
        step = np.abs(kernel).max(axis=others, keepdims=True) / STEPS
        steps = np.rint(kernel / np.where(step > 0, step, 1)).astype(np.int8)
        graph.initializer.remove(initializers[name])
        for part, values in (("steps", steps), ("step", step.ravel())):
            graph.initializer.append(numpy_helper.from_array(values, f"{name}_{part}"))
        parts = [f"{name}_steps", f"{name}_step"]
        graph.node.insert(0, helper.make_node("DequantizeLinear", parts, [name], axis=axis))
    onnx.save(onnx_model, file)
