"""The formats that a network can be exported to, as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.exporting import litert, onnx, openvino
from falx.exporting.choices import ExportPrecision, Target
from falx.exporting.runtimes import OPENERS, Runtime
from falx.model.deployed import Deployed


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: that options and records have for it.
        title: as people call it.
        file: the name of the network's file.
        package: of the runtime, whose version an export's record names.
        write: writes the network to a file in a precision. For 8 bits the network is one that
            falx.exporting.quantize.prepared gave, and views, uint8 (n, size, size), are those on
            which activations are measured; else they are not looked at.
    """

    name: Target
    title: str
    file: str
    package: str
    write: Callable[[Deployed, Path, ExportPrecision, np.ndarray], None]

    def open(self, file: Path, threads: int) -> Runtime:
        """Open a file of the format in its own runtime."""
        return OPENERS[self.name](file, threads)


_TABLE = (
    Format("openvino", "OpenVINO", "network.xml", "openvino", openvino.write_precision),
    Format("onnx", "ONNX", "network.onnx", "onnxruntime", onnx.write_precision),
    Format("litert", "LiteRT", "network.tflite", "ai-edge-litert", litert.write_precision),
)
FORMATS: dict[Target, Format] = {format_.name: format_ for format_ in _TABLE}


def format_of(to: Target) -> Format:
    """The format that a target is made of; a page holds an ONNX network."""
    return FORMATS["onnx" if to == "web" else to]


def size_of(file: Path) -> int:
    """Bytes of an exported network, the weights that lie beside it included."""
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if weights.is_file() else 0)
