"""The frozen part of a network, compiled for inference over views.

On TensorFlow's CPU backend, OpenVINO runs it, about twice as fast; on JAX, the backend for GPUs,
Keras does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
import openvino

from falx.errors import BadInput
from falx.exporting.openvino import write_openvino
from falx.model.scaling import network_input
from falx.recipe import Precision
from falx.training.disk_cache import DiskCache, digest_of
from falx.training.openvino_trunk import OpenVinoTrunk, Trunk

logger = logging.getLogger(__name__)

VERSION = 4
"""To be raised when the same trunk gives different features, or banks change their layout."""
_COMPLETE = "ready"
"""File whose presence says that a conversion is complete."""


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
        with cache.lock:
            model = _convert(network, cache.entry(f"trunk-{digest}"))
        return OpenVinoTrunk(model, network.input_shape[1], shape, digest, precision)
    if precision != "fp32":
        raise BadInput("--precision bf16 needs the TensorFlow backend; leave it out with JAX.")
    return KerasTrunk(network, shape, digest)


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


def _convert(network: keras.Model, folder: Path) -> openvino.Model:
    """A network converted to OpenVINO, read from its folder if the conversion there is complete."""
    core, file, complete = openvino.Core(), folder / "trunk.xml", folder / _COMPLETE
    if complete.exists():
        try:
            return core.read_model(file)
        except RuntimeError as error:
            logger.info("'%s' can't be read and is written again: %s", file, error)
            complete.unlink()
    write_openvino(network, file)
    complete.touch()
    return core.read_model(file)
