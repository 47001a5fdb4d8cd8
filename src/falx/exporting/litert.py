"""A trained network as a LiteRT (TensorFlow Lite) file, for Android, iOS and microcontrollers."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from falx.exporting.choices import ExportPrecision
from falx.exporting.graph import serving_function
from falx.exporting.runtimes import INPUT
from falx.logs import silence_native_stderr
from falx.model.exportable import ExportableModel
from falx.model.scaling import network_input


def write_precision(
    model: ExportableModel, file: Path, precision: ExportPrecision, views: np.ndarray
) -> None:
    """Write a model in a precision; see falx.exporting.formats.Format.write."""
    import tensorflow as tf

    def calibration_samples() -> Iterator[dict[str, np.ndarray]]:
        for view in network_input(views)[:, None]:
            yield {INPUT: view}

    with (
        silence_native_stderr(),
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as folder,
    ):
        # It calibrates with the interpreter that it warns others of.
        warnings.simplefilter("ignore")
        module = tf.Module()
        module.serve = serving_function(model)
        tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            converter.representative_dataset = calibration_samples
        file.write_bytes(converter.convert())
