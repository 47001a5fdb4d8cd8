"""The frozen part of a network, compiled for inference over views.

On TensorFlow's CPU backend, OpenVINO runs it, about twice as fast; on JAX, the backend for GPUs,
Keras does.
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
from falx.training.disk_cache import DiskCache, digest_of

logger = logging.getLogger(__name__)

BATCH_SIZE = 4
"""Views at a time: on two cores, larger batches exceed the CPU caches and are slower."""
VERSION = 3
"""To be raised when the same trunk gives different features, or banks change their layout."""
_COMPLETE = "ready"
"""File whose presence says that a conversion is complete."""


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


def trunk_digest(network: keras.Model, precision: Precision) -> str:
    """A digest of all that determines a trunk's features: layers, weights and runtime."""
    weights = [keras.ops.convert_to_numpy(variable) for variable in network.weights]
    return digest_of(VERSION, network.to_json(), precision, _runtime(), *weights)


def compile_trunk(
    network: keras.Model, digest: str, cache: DiskCache, precision: Precision = "fp32"
) -> Trunk:
    """The trunk of `cut_network`, compiled for this machine.

    Args:
        digest: as returned by `trunk_digest`.
        cache: of converted networks.
        precision: of the arithmetic.

    Raises:
        BadInput: bfloat16 is not available.
    """
    shape = tuple(network.output.shape[1:])
    if keras.backend.backend() == "tensorflow":
        return OpenVinoTrunk(network, shape, digest, cache, precision)
    if precision != "fp32":
        raise BadInput("--precision bf16 needs the TensorFlow backend; leave it out with JAX.")
    return KerasTrunk(network, shape, digest)


class OpenVinoTrunk:
    """A trunk on OpenVINO, with a fixed batch of `BATCH_SIZE`, which is a tenth faster."""

    def __init__(
        self,
        network: keras.Model,
        shape: tuple[int, ...],
        digest: str,
        cache: DiskCache,
        precision: Precision,
    ) -> None:
        self.shape, self.digest = shape, digest
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise BadInput("This processor has no bfloat16; leave out --precision bf16.")
        with cache.lock:
            model = _convert(network, cache.entry(f"trunk-{digest}"), core)
        preprocessing = openvino.preprocess.PrePostProcessor(model)
        preprocessing.input().tensor().set_element_type(openvino.Type.u8)
        preprocessing.output().tensor().set_element_type(openvino.Type.f16)
        element_type = {"fp32": "f32", "bf16": "bf16"}[precision]
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": element_type}
        model = preprocessing.build()
        model.reshape([BATCH_SIZE, *network.input_shape[1:]])
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            features = np.empty((len(batch), *self.shape), np.float16)
            for start in range(0, len(batch), BATCH_SIZE):
                views = batch[start : start + BATCH_SIZE]
                # The rest of an incomplete batch holds earlier views, whose features are ignored.
                self._request.get_input_tensor().data[: len(views), ..., 0] = views
                self._request.infer()
                outputs = self._request.get_output_tensor().data
                features[start : start + BATCH_SIZE] = outputs[: len(views)]
            yield features


class KerasTrunk:
    """A trunk on the Keras backend, wherever that runs."""

    def __init__(self, network: keras.Model, shape: tuple[int, ...], digest: str) -> None:
        self.shape, self.digest = shape, digest
        self._network = network

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            features = self._network.predict_on_batch(network_input(batch))
            yield np.asarray(features, np.float16)


def _runtime() -> tuple[str, str]:
    """Name and version, or devices, of what computes a trunk."""
    if keras.backend.backend() == "tensorflow":
        return "openvino", openvino.__version__
    return keras.backend.backend(), str(keras.distribution.list_devices())


def _convert(network: keras.Model, folder: Path, core: openvino.Core) -> openvino.Model:
    """A network converted to OpenVINO, read from its folder if the conversion there is complete."""
    file, complete = folder / "trunk.xml", folder / _COMPLETE
    if complete.exists():
        try:
            return core.read_model(file)
        except RuntimeError as error:
            logger.info("'%s' can't be read and is written again: %s", file, error)
            complete.unlink()
    write_openvino(network, file)
    complete.touch()
    return core.read_model(file)
