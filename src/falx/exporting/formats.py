"""The export formats, as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.exporting import litert, onnx, openvino
from falx.exporting.choices import ExportPrecision, Target
from falx.exporting.runtimes import OPENERS, Runtime
from falx.model.exportable import ExportableModel


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        name: in options and records.
        title: in prose.
        file: name of the network's file.
        package: of the runtime, whose version is recorded.
        write: writes a model to a file in a precision. For 8 bits, its network is one returned by
            falx.exporting.quantize.prepared, and the views, uint8 (n, size, size), calibrate the
            activations; else they are ignored.
    """

    name: Target
    title: str
    file: str
    package: str
    write: Callable[[ExportableModel, Path, ExportPrecision, np.ndarray], None]

    def open(self, file: Path, threads: int) -> Runtime:
        """Open a file of the format in its runtime."""
        return OPENERS[self.name](file, threads)


_TABLE = (
    Format("openvino", "OpenVINO", "network.xml", "openvino", openvino.write_precision),
    Format("onnx", "ONNX", "network.onnx", "onnxruntime", onnx.write_precision),
    Format("litert", "LiteRT", "network.tflite", "ai-edge-litert", litert.write_precision),
)
FORMATS: dict[Target, Format] = {format_.name: format_ for format_ in _TABLE}


def format_of(to: Target) -> Format:
    """The format of a target; a web page contains an ONNX network."""
    return FORMATS["onnx" if to == "web" else to]


def size_of(file: Path) -> int:
    """Bytes of an exported network, including weights in a separate file."""
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if weights.is_file() else 0)
