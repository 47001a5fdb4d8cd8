"""The compiled network on OpenVINO: views in, logits out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from falx.errors import BrokenRun
from falx.offline import without_module

# The model converter is half of what importing OpenVINO costs, and inference never converts.
with without_module("openvino.tools.ovc"):
    import openvino

BATCH = 32


class Engine:
    """A network compiled for this machine's CPU.

    Float32 arithmetic whatever the CPU offers, so that every machine gives the same answer.
    """

    def __init__(self, network: Path) -> None:
        core = openvino.Core()
        try:
            model = core.read_model(network)
        except RuntimeError as error:
            raise BrokenRun(
                f"The network '{network}' can't be read; train or copy it anew."
            ) from error
        self._size = int(model.input(0).get_partial_shape()[1].get_length())
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        self._compiled = core.compile_model(model, "CPU", settings)

    def logits(self, views: np.ndarray) -> np.ndarray:
        """Logits float32 (n, outputs) of views uint8 (n, size, size)."""
        if views.ndim != 3 or views.shape[1:] != (self._size, self._size):
            raise ValueError(
                f"Views must be (n, {self._size}, {self._size}) here, got {views.shape}."
            )
        batches = [views[start : start + BATCH] for start in range(0, len(views), BATCH)]
        return np.concatenate([self._batch(batch) for batch in batches])

    def _batch(self, views: np.ndarray) -> np.ndarray:
        grey = views[..., None].astype(np.float32)
        return np.array(self._compiled(grey)[0], np.float32)
