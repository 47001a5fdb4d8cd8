"""What computes the features of views, and one on OpenVINO."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Protocol

import numpy as np
import openvino

from falx.errors import BadInput
from falx.recipe import Precision

BATCH_SIZE = 4
"""Views at a time: on two cores, larger batches exceed the CPU caches and are slower."""


class Trunk(Protocol):
    """Views in, features out.

    Attributes:
        shape: of one view's features.
        digest: equal digests mean equal features.
    """

    shape: tuple[int, ...]
    digest: str

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Features float16 (b, *shape) of each batch of views uint8 (b, size, size), in order."""


class OpenVinoTrunk:
    """A trunk on OpenVINO, with a fixed batch of `BATCH_SIZE`, which is a tenth faster."""

    def __init__(
        self,
        model: openvino.Model,
        size: int,
        shape: tuple[int, ...],
        digest: str,
        precision: Precision,
    ) -> None:
        """Compile a model of gray levels float32 (batch, size, size, 1) to features.

        Raises:
            BadInput: bfloat16 is not available.
        """
        self.shape, self.digest = shape, digest
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise BadInput("This processor has no bfloat16; leave out --precision bf16.")
        preprocessing = openvino.preprocess.PrePostProcessor(model)
        preprocessing.input().tensor().set_element_type(openvino.Type.u8)
        preprocessing.output().tensor().set_element_type(openvino.Type.f16)
        element_type = {"fp32": "f32", "bf16": "bf16"}[precision]
        # Several batches at once, each on one core, need a fifth less time than one on all cores.
        settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": element_type}
        model = preprocessing.build()
        model.reshape([BATCH_SIZE, size, size, 1])
        self._queue = openvino.AsyncInferQueue(core.compile_model(model, "CPU", settings))

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            features = np.empty((len(batch), *self.shape), np.float16)
            self._queue.set_callback(partial(_keep, features))
            for start in range(0, len(batch), BATCH_SIZE):
                views = batch[start : start + BATCH_SIZE]
                # The rest of an incomplete batch is black, and its features are ignored.
                full = np.zeros((BATCH_SIZE, *views.shape[1:], 1), np.uint8)
                full[: len(views), ..., 0] = views
                self._queue.start_async({0: full}, start)
            self._queue.wait_all()
            yield features


def _keep(features: np.ndarray, request: openvino.InferRequest, start: int) -> None:
    """Copy the outputs of a batch, except those of its rest, to the features of all."""
    rows = features[start : start + BATCH_SIZE]
    rows[:] = request.get_output_tensor().data[: len(rows)]
