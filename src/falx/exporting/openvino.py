"""A trained network as OpenVINO's file.xml and file.bin."""

from __future__ import annotations

import errno
import io
import logging
import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import keras
import numpy as np
import openvino
from openvino.tools.ovc import convert_model

from falx.errors import BrokenRun
from falx.exporting.choices import EIGHT_BITS, ExportPrecision
from falx.exporting.graph import answering, with_constants
from falx.exporting.runtimes import OUTPUTS
from falx.model.deployed import Deployed
from falx.model.network import network_input


def write_network(deployed: Deployed, file: Path) -> None:
    """Write a network in float32, with outputs in the order and by the names of `OUTPUTS`.

    Args:
        deployed: on any backend.

    Raises:
        OSError: it can't be written whole.
    """
    if keras.backend.backend() == "tensorflow":
        _save(_converted(deployed), file)
    else:
        _write_by_tensorflow(deployed, file)


def write_precision(
    deployed: Deployed, file: Path, precision: ExportPrecision, views: np.ndarray
) -> None:
    """Write a network in a precision; see falx.exporting.formats.Format.write."""
    model = _converted(deployed)
    if precision in EIGHT_BITS:
        model = _quantized(model, views)
    if precision == "int8-weights":
        _free_activations(model)
    _save(model, file, halved=precision != "fp32")


def write_openvino(network: keras.Model, file: Path) -> None:
    """Write any network of TensorFlow in float32, with the batch left open.

    Raises:
        OSError: it can't be written whole.
    """
    import tensorflow as tf

    # Keras' own export traces the network three times and takes nearly twice as long.
    values = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32, network.input.name)
    answer = tf.function(with_constants(network))
    _save(convert_model(answer.get_concrete_function(values)), file)


def _converted(deployed: Deployed) -> openvino.Model:
    converted = convert_model(answering(deployed).get_concrete_function())
    # TensorFlow gives outputs in the order of their names, and OpenVINO drops the names.
    by_name = dict(zip(sorted(OUTPUTS), converted.outputs, strict=True))
    for name, output in by_name.items():
        output.get_tensor().set_names({name})
    ordered = [by_name[name].get_node() for name in OUTPUTS]
    return openvino.Model(ordered, converted.get_parameters(), deployed.network.name)


def _quantized(model: openvino.Model, views: np.ndarray) -> openvino.Model:
    """The model with weights and activations in 8 bits, by the ranges that views span."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    # Its own function for that would quiet the handlers of others as well.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    # Its bar would stand between those of falx.
    with redirect_stdout(io.StringIO()):
        return nncf.quantize(
            model,
            nncf.Dataset(list(network_input(views)[:, None])),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(views),
            advanced_parameters=AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
                disable_bias_correction=True,
            ),
        )


def _free_activations(model: openvino.Model) -> None:
    """Let activations pass unrounded; weights stay as they are, since they are rounded already."""
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "FakeQuantize":
            source = operation.input_value(0)
            for target in list(operation.output(0).get_target_inputs()):
                target.replace_source_output(source)
    model.validate_nodes_and_infer_types()


def _save(model: openvino.Model, file: Path, *, halved: bool = False) -> None:
    try:
        openvino.save_model(model, file, compress_to_fp16=halved)
    except RuntimeError as error:
        # All that OpenVINO says of a full disk is that its stream failed.
        if "iostream" not in str(error):
            raise
        raise OSError(errno.EIO, "it could not be written whole", str(file)) from error
    # Reading it back proves that the file is whole.
    openvino.Core().read_model(file)


def _write_by_tensorflow(deployed: Deployed, file: Path) -> None:
    """Write a network of another backend, whose operations OpenVINO does not know.

    Keras saves it alike on all backends, so a process of its own reads and writes it on TensorFlow.
    """
    script = (
        "import sys, keras, pathlib; from falx.exporting.openvino import write_network; "
        "from falx.model.deployed import Deployed; from falx.model.reference import Reference; "
        "network = keras.saving.load_model(sys.argv[1]); "
        "folder, file = map(pathlib.Path, sys.argv[2:4]); "
        "deployed = Deployed(network, Reference.load(folder), sys.argv[4] == 'mirrored'); "
        "write_network(deployed, file)"
    )
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "network.keras"
        deployed.network.save(saved)
        deployed.reference.save(Path(folder))
        answers = "mirrored" if deployed.mirrored else "plain"
        # No shell, and words of our own.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", script, saved, folder, file, answers],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BrokenRun(
            f"The network could not be converted by TensorFlow: {done.stderr.strip()[-500:]}"
        )
