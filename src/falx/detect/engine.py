"""A network on OpenVINO: from views to logits, heat maps and distances."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from falx.errors import BrokenRun
from falx.offline import without_module

# The model converter is half of OpenVINO's import time, and inference never converts.
with without_module("openvino.tools.ovc"):
    import openvino

BATCH = 8
"""Views at once. On two cores, 8 are as fast as 32, and take 230 MB less."""

_DISTANCES = 3
"""Where distances are among the outputs of a network."""


class Engine:
    """A network compiled for this machine's CPU.

    Always in float32, so that the result does not depend on what the CPU supports.
    """

    def __init__(self, network: Path) -> None:
        self._model = _read(network)
        self._size = int(self._model.input(0).get_partial_shape()[1].get_length())
        self._compiled = _compiled(self._model)
        # A compiled network has one request, which two threads must not start at once.
        self._lock = Lock()

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
        batches = self._batches(views)
        with self._lock:
            outputs = list(map(self._batch, batches))
        logits, heat_maps, distances = zip(*outputs, strict=True)
        return np.concatenate(logits), np.concatenate(heat_maps), np.concatenate(distances)

    def features(self, views: np.ndarray) -> np.ndarray:
        """The features of views that distances are measured in, float32 (n, depth).

        They are averages over the view of a layer in the middle of the backbone, less those of the
        training slices.

        Args:
            views: uint8 (n, size, size).
        """
        batches = [batch[..., None].astype(np.float32) for batch in self._batches(views)]
        with self._lock:
            compute = self._features
            return np.concatenate([np.array(compute(batch)[0], np.float32) for batch in batches])

    @cached_property
    def _features(self) -> Any:
        """The network up to the features: what the product with the whitening matrix takes."""
        model = self._model
        node = model.output(_DISTANCES).get_node()
        while node.get_type_name() != "MatMul":
            node = node.input_value(0).get_node()
        return _compiled(openvino.Model([node.input_value(0)], model.get_parameters()))

    def _batches(self, views: np.ndarray) -> list[np.ndarray]:
        if views.ndim != 3 or views.shape[1:] != (self._size, self._size):
            raise ValueError(f"Views must be (n, {self._size}, {self._size}), got {views.shape}.")
        return [views[start : start + BATCH] for start in range(0, len(views), BATCH)]

    def _batch(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        outputs = self._compiled(views[..., None].astype(np.float32))
        logits, heat_maps, distances = (
            np.array(outputs[i], np.float32) for i in (0, 1, _DISTANCES)
        )
        if not (np.isfinite(logits).all() and np.isfinite(heat_maps).all()):
            raise BrokenRun("The network gives outputs that are not numbers; train it again.")
        return logits, heat_maps, distances


def _read(network: Path) -> Any:
    core = openvino.Core()
    # The folder of a detector may be removed while it is in use.
    core.set_property({"ENABLE_MMAP": False})
    try:
        return core.read_model(network)
    except RuntimeError as error:
        raise BrokenRun(f"The network '{network}' can't be read; train or copy it anew.") from error


def _compiled(model: Any) -> Any:
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(model, "CPU", config)
