"""A trained network as a LiteRT (TensorFlow Lite) file, for Android, iOS and microcontrollers."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from falx.exporting.choices import ExportPrecision
from falx.exporting.graph import answering
from falx.exporting.runtimes import INPUT, OUTPUTS
from falx.logs import native_silence
from falx.model.deployed import Deployed
from falx.model.network import network_input


def write_precision(
    deployed: Deployed, file: Path, precision: ExportPrecision, views: np.ndarray
) -> None:
    """Write a network in a precision; see falx.exporting.formats.Format.write."""
    import tensorflow as tf

    def samples() -> Iterator[dict[str, np.ndarray]]:
        for view in network_input(views)[:, None]:
            yield {INPUT: view}

    with native_silence(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # It measures activations by the interpreter that it tells others not to use.
        warnings.simplefilter("ignore")
        _save(deployed, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            converter.representative_dataset = samples
        file.write_bytes(converter.convert())


def _save(deployed: Deployed, folder: str) -> None:
    """Save a network with constants for variables, which LiteRT would want initialized."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = answering(deployed)
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())

    def answer(grey_levels: Any) -> dict[str, Any]:
        # TensorFlow gives outputs in the order of their names.
        return dict(zip(sorted(OUTPUTS), frozen(grey_levels), strict=True))

    module = tf.Module()
    module.answer = tf.function(answer, input_signature=function.input_signature)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.answer})
