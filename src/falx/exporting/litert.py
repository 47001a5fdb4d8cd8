"""A trained network as a LiteRT (TensorFlow Lite) file, for Android, iOS and microcontrollers."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from falx.exporting.choices import ExportPrecision
from falx.exporting.graph import answering
from falx.exporting.runtimes import INPUT
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
        module = tf.Module()
        module.answer = answering(deployed)
        tf.saved_model.save(module, folder, signatures={"serving_default": module.answer})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            converter.representative_dataset = samples
        file.write_bytes(converter.convert())
