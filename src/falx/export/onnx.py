"""A trained network as an ONNX file, for ONNX Runtime on servers, desktops and in browsers."""

from __future__ import annotations

import logging
from pathlib import Path

import keras

from falx.export.graph import answering

OPSET = 17
"""Of operations; ONNX Runtime has known it since 1.12, of 2022."""


def write_onnx(network: keras.Model, file: Path) -> None:
    """Write a network in float32, with the batch left open.

    Args:
        network: as `build_network` made it, on TensorFlow.
    """
    import tf2onnx

    # It tells each step of its optimizer.
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    function = answering(network)
    tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET, output_path=str(file)
    )
