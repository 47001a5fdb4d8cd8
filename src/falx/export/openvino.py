"""A trained network as an OpenVINO detector folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import openvino
from openvino.tools.ovc import convert_model

from falx.detect.detector import KERAS_FILE, NETWORK_FILE, Settings, network_sha256
from falx.detect.engine import Engine
from falx.errors import BrokenRun
from falx.model.explain import explained
from falx.model.network import network_input
from falx.recipe import Recipe

TOLERANCE = 1e-3
"""Largest difference of a logit between Keras and OpenVINO, absolute and relative."""


def export_detector(
    network: keras.Model,
    folder: Path,
    *,
    recipe: Recipe,
    classes: tuple[str, ...],
    study_share: float,
    threshold: float = 0.5,
    check: np.ndarray,
) -> None:
    """Write network.keras, network.xml, network.bin and detector.json into a new folder.

    Args:
        check: views uint8 (n, size, size) on which both runtimes must agree.

    Raises:
        BrokenRun: they don't.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A network of its own, since what a training compiled into it others can't load.
    keras.Model(network.inputs, network.outputs, name=network.name).save(folder / KERAS_FILE)
    write_network(network, folder / NETWORK_FILE)
    settings = Settings(
        classes, recipe.rendering, threshold, study_share, recipe.name, network_sha256(folder)
    )
    settings.save(folder)
    check_parity(network, folder / NETWORK_FILE, check)


def write_network(network: keras.Model, file: Path) -> None:
    """Write the network of a detector, which also says where its logits come from.

    Args:
        network: as `build_network` made it.

    Raises:
        OSError: it can't be written whole.
    """
    if keras.backend.backend() == "tensorflow":
        write_openvino(explained(network), file)
    else:
        _write_by_tensorflow(network, file)


def write_openvino(network: keras.Model, file: Path) -> None:
    """Write a network of TensorFlow as file.xml and file.bin in float32, with the batch left open.

    Raises:
        OSError: they can't be written whole.
    """
    import tensorflow as tf

    # Keras' own export traces the network three times and takes nearly twice as long.
    grey = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32, network.input.name)
    answer = tf.function(lambda levels: network(levels, training=False))
    converted = convert_model(answer.get_concrete_function(grey))
    try:
        openvino.save_model(converted, file, compress_to_fp16=False)
    except RuntimeError as error:
        # All that OpenVINO says of a full disk is that its stream failed.
        if "iostream" not in str(error):
            raise
        raise OSError(errno.EIO, "it could not be written whole", str(file)) from error
    # Reading it back proves that the file is whole.
    openvino.Core().read_model(file)


def _write_by_tensorflow(network: keras.Model, file: Path) -> None:
    """Write a network of another backend, whose operations OpenVINO does not know.

    Keras saves it alike on all backends, so a process of its own reads and writes it on TensorFlow.
    """
    script = (
        "import sys, keras, pathlib; from falx.export.openvino import write_network; "
        "write_network(keras.saving.load_model(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    )
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "network.keras"
        network.save(saved)
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", script, saved, file],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BrokenRun(
            f"The network could not be converted by TensorFlow: {done.stderr.strip()[-500:]}"
        )


def check_parity(network: keras.Model, file: Path, views: np.ndarray) -> None:
    """Compare logits of a network with those of the file that was written of it.

    Args:
        views: uint8 (n, size, size).

    Raises:
        BrokenRun: they differ by more than `TOLERANCE`.
    """
    expected = network.predict_on_batch(network_input(views))
    actual = Engine(file).logits(views)
    if not np.allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE):
        largest = float(np.abs(actual - expected).max())
        raise BrokenRun(
            f"OpenVINO and Keras differ by up to {largest:.4f} in a logit, more than {TOLERANCE}; "
            "report this with your versions (falx doctor)."
        )
