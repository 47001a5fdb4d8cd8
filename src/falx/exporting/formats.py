"""The formats that a network can be exported to, as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from falx.exporting import litert, onnx, openvino
from falx.exporting.choices import ExportPrecision
from falx.exporting.runtimes import Runtime, open_litert, open_onnx, open_openvino


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        title: as people call it.
        file: the name of the network's file.
        packages: of the runtime, whose versions an export's record names.
        write: writes the network to a file in a precision. For 8 bits the network is one that
            falx.exporting.quantize.prepared gave, and views, uint8 (n, size, size), are those on
            which activations are measured; else they are not looked at.
        open: opens the file in its own runtime, with a number of threads.
    """

    title: str
    file: str
    packages: tuple[str, ...]
    write: Callable[[keras.Model, Path, ExportPrecision, np.ndarray], None]
    open: Callable[[Path, int], Runtime]


FORMATS = {
    "openvino": Format(
        "OpenVINO", "network.xml", ("openvino",), openvino.write_precision, open_openvino
    ),
    "onnx": Format("ONNX", "network.onnx", ("onnxruntime",), onnx.write_precision, open_onnx),
    "litert": Format(
        "LiteRT", "network.tflite", ("ai-edge-litert",), litert.write_precision, open_litert
    ),
}


def size_of(file: Path) -> int:
    """Bytes of an exported network, the weights that lie beside it included."""
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if weights.is_file() else 0)
