"""A trained network as the detector folder of a run."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from falx.detect.detector import KERAS_FILE, NETWORK_FILE, network_sha256
from falx.detect.engine import Engine
from falx.detect.rules import Rules
from falx.detect.settings import Settings
from falx.errors import BrokenRun
from falx.exporting.openvino import write_network
from falx.model.exportable import ExportableModel
from falx.recipe import Recipe

TOLERANCE = 1e-3
"""Largest difference of logits between Keras and OpenVINO, absolute and relative."""

DISTANCE_TOLERANCE = 1e-2
"""Of Mahalanobis distances, in which whitening amplifies rounding errors."""


def export_detector(
    model: ExportableModel,
    folder: Path,
    *,
    recipe: Recipe,
    classes: tuple[str, ...],
    rules: Rules,
    parity_views: np.ndarray,
) -> None:
    """Write network.keras, reference.npz, network.xml, network.bin and detector.json.

    Args:
        folder: a new one.
        parity_views: uint8 (n, size, size), on which both runtimes must agree.

    Raises:
        BrokenRun: they don't.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = model.network
    # A fresh model, without the compiled state of a training, which others can't load.
    keras.Model(network.inputs, network.outputs, name=network.name).save(folder / KERAS_FILE)
    model.reference.save(folder)
    write_network(model, folder / NETWORK_FILE)
    digest = network_sha256(folder)
    settings = Settings(
        classes, recipe.rendering, rules, model.flip_tta, recipe.name, digest,
        localizes=recipe.backbone.localization,
    )  # fmt: skip
    settings.save(folder)
    check_parity(model, folder / NETWORK_FILE, parity_views)


def check_parity(model: ExportableModel, file: Path, views: np.ndarray) -> None:
    """Compare logits and distances of a model with those of the file that it was exported to.

    Args:
        views: uint8 (n, size, size).

    Raises:
        BrokenRun: they differ by more than `TOLERANCE` or `DISTANCE_TOLERANCE`.
    """
    logits, _, distances = Engine(file).infer(views)
    for output, actual, expected, tolerance in (
        ("logit", logits, model.logits(views), TOLERANCE),
        ("Mahalanobis distance", distances, model.distances(views), DISTANCE_TOLERANCE),
    ):
        if not np.allclose(actual, expected, rtol=tolerance, atol=tolerance):
            largest = float(np.abs(actual - expected).max())
            raise BrokenRun(
                f"OpenVINO and Keras differ by up to {largest:.4f} in a {output}, more than "
                f"{tolerance}; report this with your versions (falx doctor)."
            )
