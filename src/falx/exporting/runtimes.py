"""Exports in their runtimes, without Keras or TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

INPUT = "gray_levels"
"""float32 (batch, size, size, 1), [0, 255]."""

OUTPUTS = ("logits", "heat_maps", "probabilities", "distances")
"""float32 (batch, k); (batch, rows, columns, k), contributions to the logits; (batch, classes); and
(batch,), Mahalanobis distances from the training slices.

For two classes, k is 1, and the logit is that of the second, positive class; for more, k is their
number.
"""


@dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs of a network for n views; see `OUTPUTS`."""

    logits: np.ndarray
    heat_maps: np.ndarray
    probabilities: np.ndarray
    distances: np.ndarray


Runtime = Callable[[np.ndarray], Outputs]
"""From views uint8 (n, size, size) to outputs, in one call of the runtime."""


def open_openvino(file: Path, threads: int) -> Runtime:
    """Open file.xml in OpenVINO."""
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = openvino.Core().compile_model(file, "CPU", settings)

    def run(views: np.ndarray) -> Outputs:
        outputs = compiled(_input(views))
        return Outputs(*(np.array(outputs[name]) for name in OUTPUTS))

    return run


def open_onnx(file: Path, threads: int) -> Runtime:
    """Open an ONNX file in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda views: Outputs(*session.run(OUTPUTS, {INPUT: _input(views)}))


def open_litert(file: Path, threads: int) -> Runtime:
    """Open a LiteRT file."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(file), num_threads=threads).get_signature_runner()
    return lambda views: Outputs(**runner(**{INPUT: _input(views)}))


OPENERS: dict[str, Callable[[Path, int], Runtime]] = {
    "openvino": open_openvino,
    "onnx": open_onnx,
    "litert": open_litert,
}
"""Functions that open a file of a format, with a number of threads."""


def _input(views: np.ndarray) -> np.ndarray:
    return views[..., None].astype(np.float32)
