"""A network on OpenVINO: from views to logits, heat maps and distances."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from falx.errors import BrokenRun
from falx.offline import without_module

# The model converter is half of OpenVINO's import time, and inference never converts.
with without_module("openvino.tools.ovc"):
    import openvino

BATCH = 8
"""Views at once. On two cores, 8 are as fast as 32, and take 230 MB less."""


class Engine:
    """A network compiled for this machine's CPU.

    Always in float32, so that the result does not depend on what the CPU supports.
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
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        self._compiled = core.compile_model(model, "CPU", config)

    def logits(self, views: np.ndarray) -> np.ndarray:
        """Logits float32 (n, k) of views uint8 (n, size, size)."""
        return self.infer(views)[0]

    def infer(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits, heat maps and distances of views.

        Args:
            views: uint8 (n, size, size).

        Returns:
            Logits float32 (n, k); heat maps, the contribution of each position to each logit, or
            the probability of each cell of a localization head to hold tumor, float32 (n, rows,
            columns, k), see falx.model.attribution; and Mahalanobis distances
            from the training slices, float32 (n,), see falx.model.mahalanobis.

        Raises:
            BrokenRun: logits or heat maps are not finite; distances need not be.
        """
        if views.ndim != 3 or views.shape[1:] != (self._size, self._size):
            raise ValueError(f"Views must be (n, {self._size}, {self._size}), got {views.shape}.")
        batches = [views[start : start + BATCH] for start in range(0, len(views), BATCH)]
        logits, heat_maps, distances = zip(*map(self._batch, batches), strict=True)
        return np.concatenate(logits), np.concatenate(heat_maps), np.concatenate(distances)

    def _batch(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        outputs = self._compiled(views[..., None].astype(np.float32))
        logits, heat_maps, distances = (np.array(outputs[i], np.float32) for i in (0, 1, 3))
        if not (np.isfinite(logits).all() and np.isfinite(heat_maps).all()):
            raise BrokenRun("The network gives outputs that are not numbers; train it again.")
        return logits, heat_maps, distances
