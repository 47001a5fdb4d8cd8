"""The compiled network on OpenVINO: views in, logits, heat maps and distances out."""

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
        """Logits float32 (n, k) of views uint8 (n, size, size)."""
        return self.answers(views)[0]

    def answers(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits, heat maps and distances of views.

        Args:
            views: uint8 (n, size, size).

        Returns:
            Logits float32 (n, k); the share of each place in each of them, float32
            (n, rows, columns, k), see falx.model.explain; and how far each view is from those
            that the network was trained on, float32 (n,), see falx.model.reference.

        Raises:
            BrokenRun: logits or heat maps are not numbers; distances may be so.
        """
        if views.ndim != 3 or views.shape[1:] != (self._size, self._size):
            raise ValueError(
                f"Views must be (n, {self._size}, {self._size}) here, got {views.shape}."
            )
        batches = [views[start : start + BATCH] for start in range(0, len(views), BATCH)]
        logits, heat_maps, distances = zip(*map(self._batch, batches), strict=True)
        return np.concatenate(logits), np.concatenate(heat_maps), np.concatenate(distances)

    def _batch(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = self._compiled(views[..., None].astype(np.float32))
        logits, heat_maps, distances = (np.array(found[i], np.float32) for i in (0, 1, 3))
        if not (np.isfinite(logits).all() and np.isfinite(heat_maps).all()):
            raise BrokenRun("The network gives answers that are not numbers; train it again.")
        return logits, heat_maps, distances
