"""The frozen part of a network, compiled to run once over views and never to be trained.

On TensorFlow's CPU that is done by OpenVINO, which is about twice as fast; on JAX, the backend for
GPUs, by Keras itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
import openvino

from falx.errors import BadInput
from falx.exporting.openvino import write_openvino
from falx.model.network import network_input
from falx.recipe import Precision
from falx.training.shelf import Shelf, digest_of

logger = logging.getLogger(__name__)

BATCH = 4
"""Views at a time: on two cores, more don't fit the caches and are slower."""
VERSION = 3
"""To be raised when the same trunk gives other features, or banks keep them in another order."""
_READY = "ready"


class Trunk(Protocol):
    """Views in, features out.

    Attributes:
        shape: of one view's features.
        digest: what names it: equal ones give equal features.
    """

    shape: tuple[int, ...]
    digest: str

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Features float16 (b, *shape) of each batch of views uint8 (b, size, size), in order."""


def trunk_digest(network: keras.Model, precision: Precision) -> str:
    """What names the features of a trunk: its layers, its weights, and how it is computed."""
    weights = [keras.ops.convert_to_numpy(variable) for variable in network.weights]
    return digest_of(VERSION, network.to_json(), precision, _computed_by(), *weights)


def _computed_by() -> tuple[str, str]:
    if keras.backend.backend() == "tensorflow":
        return "openvino", openvino.__version__
    return keras.backend.backend(), str(keras.distribution.list_devices())


def compile_trunk(
    network: keras.Model, digest: str, shelf: Shelf, precision: Precision = "fp32"
) -> Trunk:
    """The trunk of `part_network`, compiled for this machine.

    Args:
        digest: as `trunk_digest` gives it.
        shelf: where the converted network is kept for later runs.
        precision: of the arithmetic; bfloat16 where the processor has it.

    Raises:
        BadInput: bfloat16 is asked for and not to be had.
    """
    shape = tuple(network.output.shape[1:])
    if keras.backend.backend() == "tensorflow":
        return OpenVinoTrunk(network, shape, digest, shelf, precision)
    if precision != "fp32":
        raise BadInput("--precision bf16 needs the TensorFlow backend; leave it out with JAX.")
    return KerasTrunk(network, shape, digest)


class OpenVinoTrunk:
    """A trunk on OpenVINO, for `BATCH` views at a time: a fixed number is a tenth faster."""

    def __init__(
        self,
        network: keras.Model,
        shape: tuple[int, ...],
        digest: str,
        shelf: Shelf,
        precision: Precision,
    ) -> None:
        self.shape, self.digest = shape, digest
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise BadInput("This processor has no bfloat16; leave out --precision bf16.")
        with shelf.lock:
            converted = _converted(network, shelf.entry(f"trunk-{digest}"), core)
        steps = openvino.preprocess.PrePostProcessor(converted)
        steps.input().tensor().set_element_type(openvino.Type.u8)
        steps.output().tensor().set_element_type(openvino.Type.f16)
        kind = {"fp32": "f32", "bf16": "bf16"}[precision]
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": kind}
        fixed = steps.build()
        fixed.reshape([BATCH, *network.input_shape[1:]])
        self._request = core.compile_model(fixed, "CPU", settings).create_infer_request()

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            features = np.empty((len(batch), *self.shape), np.float16)
            for start in range(0, len(batch), BATCH):
                some = batch[start : start + BATCH]
                # Where there are fewer, others are left from before, and their features unread.
                self._request.get_input_tensor().data[: len(some), ..., 0] = some
                self._request.infer()
                found = self._request.get_output_tensor().data
                features[start : start + BATCH] = found[: len(some)]
            yield features


def _converted(network: keras.Model, folder: Path, core: openvino.Core) -> openvino.Model:
    """A network for OpenVINO, from its folder where it is whole there."""
    file, ready = folder / "trunk.xml", folder / _READY
    if ready.exists():
        try:
            return core.read_model(file)
        except RuntimeError as error:
            logger.info("'%s' can't be read and is written anew: %s", file, error)
            ready.unlink()
    write_openvino(network, file)
    ready.touch()
    return core.read_model(file)


class KerasTrunk:
    """A trunk on the backend that trains, wherever that runs."""

    def __init__(self, network: keras.Model, shape: tuple[int, ...], digest: str) -> None:
        self.shape, self.digest = shape, digest
        self._network = network

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            features = self._network.predict_on_batch(network_input(batch))
            yield np.asarray(features, np.float16)
