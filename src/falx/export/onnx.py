"""A trained network as an ONNX file, for ONNX Runtime on servers, desktops and in browsers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np

from falx.export.graph import answering
from falx.export.precision import EIGHT_BITS, Precision
from falx.export.runtimes import INPUT
from falx.model.network import network_input

OPSET = 17
"""Of operations; ONNX Runtime has known it since 1.12, of 2022."""


def write_precision(
    network: keras.Model, file: Path, precision: Precision, views: np.ndarray
) -> None:
    """Write a network in a precision; see falx.export.formats.Format.write."""
    import onnx

    model = _converted(network)
    if precision == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = convert_float_to_float16(model, keep_io_types=True)
    elif precision in EIGHT_BITS:
        from falx.export.quantize import quantized

        model = quantized(model, [{INPUT: view} for view in network_input(views)[:, None]])
    if precision == "int8-weights":
        _free_activations(model.graph)
    onnx.save(model, file)


def _converted(network: keras.Model) -> Any:
    import tf2onnx

    # It tells each step of its optimizer.
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    function = answering(network)
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET
    )
    return model


def _free_activations(graph: Any) -> None:
    """Let activations pass unrounded; weights stay as they are, since they are rounded already."""
    rounding = {node.output[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
    restoring = {
        node.output[0]: rounding[node.input[0]].input[0]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in rounding
    }
    kept = [
        node
        for node in graph.node
        if node.output[0] not in rounding and node.output[0] not in restoring
    ]
    for node in kept:
        for place, name in enumerate(node.input):
            while name in restoring:
                name = restoring[name]
            node.input[place] = name
    del graph.node[:]
    graph.node.extend(kept)
