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
from falx.exporting.graph import serving_function, with_constants
from falx.exporting.runtimes import OUTPUTS
from falx.model.exportable import ExportableModel
from falx.model.scaling import network_input


def write_network(model: ExportableModel, file: Path) -> None:
    """Write a model in float32, with outputs in the order and with the names of `OUTPUTS`.

    Args:
        model: on any backend.

    Raises:
        OSError: it can't be written completely.
    """
    if keras.backend.backend() == "tensorflow":
        _save(_converted(model), file)
    else:
        _write_by_tensorflow(model, file)


def write_precision(
    model: ExportableModel, file: Path, precision: ExportPrecision, views: np.ndarray
) -> None:
    """Write a model in a precision; see falx.exporting.formats.Format.write."""
    converted = _converted(model)
    if precision in EIGHT_BITS:
        converted = _quantized(converted, views)
    if precision == "int8-weights":
        _dequantize_activations(converted)
    _save(converted, file, fp16=precision != "fp32")


def write_openvino(network: keras.Model, file: Path) -> None:
    """Write any network on TensorFlow in float32, with a variable batch size.

    Raises:
        OSError: it can't be written completely.
    """
    import tensorflow as tf

    # Keras' own export traces the network three times and takes nearly twice as long.
    values = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32, network.input.name)
    function = tf.function(with_constants(network))
    _save(convert_model(function.get_concrete_function(values)), file)


def _converted(model: ExportableModel) -> openvino.Model:
    converted = convert_model(serving_function(model).get_concrete_function())
    # TensorFlow sorts outputs by name, and OpenVINO drops the names.
    by_name = dict(zip(sorted(OUTPUTS), converted.outputs, strict=True))
    for name, output in by_name.items():
        output.get_tensor().set_names({name})
    ordered = [by_name[name].get_node() for name in OUTPUTS]
    return openvino.Model(ordered, converted.get_parameters(), model.network.name)


def _quantized(converted: openvino.Model, views: np.ndarray) -> openvino.Model:
    """The model with weights and activations in 8 bits, over the range of activations on views."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    # Its own function for that would also silence the handlers of others.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    # Its progress bar would mix with those of falx.
    with redirect_stdout(io.StringIO()):
        return nncf.quantize(
            converted,
            nncf.Dataset(list(network_input(views)[:, None])),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(views),
            advanced_parameters=AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
                disable_bias_correction=True,
            ),
        )


def _dequantize_activations(converted: openvino.Model) -> None:
    """Remove the quantization of activations; weights stay as they are, since they are rounded."""
    for operation in converted.get_ordered_ops():
        if operation.get_type_name() == "FakeQuantize":
            source = operation.input_value(0)
            for target in list(operation.output(0).get_target_inputs()):
                target.replace_source_output(source)
    converted.validate_nodes_and_infer_types()


def _save(converted: openvino.Model, file: Path, *, fp16: bool = False) -> None:
    try:
        openvino.save_model(converted, file, compress_to_fp16=fp16)
    except RuntimeError as error:
        # OpenVINO reports a full disk only as a failed stream.
        if "iostream" not in str(error):
            raise
        raise OSError(errno.EIO, "it could not be written completely", str(file)) from error
    # Reading it back proves that the file is complete.
    openvino.Core().read_model(file)


def _write_by_tensorflow(model: ExportableModel, file: Path) -> None:
    """Write a model of another backend, whose operations OpenVINO does not support.

    Keras saves it alike on all backends, so another process loads and writes it on TensorFlow.
    """
    script = (
        "import sys, keras, pathlib; from falx.exporting.openvino import write_network; "
        "from falx.model.exportable import ExportableModel; "
        "from falx.model.reference import MahalanobisReference; "
        "network = keras.saving.load_model(sys.argv[1]); "
        "folder, file = map(pathlib.Path, sys.argv[2:4]); "
        "reference = MahalanobisReference.load(folder); "
        "model = ExportableModel(network, reference, sys.argv[4] == 'flip_tta'); "
        "write_network(model, file)"
    )
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "network.keras"
        model.network.save(saved)
        model.reference.save(Path(folder))
        mode = "flip_tta" if model.flip_tta else "plain"
        # No shell, and fixed arguments.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", script, saved, folder, file, mode],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BrokenRun(
            f"The network could not be converted by TensorFlow: {done.stderr.strip()[-500:]}"
        )
