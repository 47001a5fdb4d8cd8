"""A trained network as the detector folder that a run keeps."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from falx.detect.detector import KERAS_FILE, NETWORK_FILE, Settings, network_sha256
from falx.detect.engine import Engine
from falx.detect.rules import Rules
from falx.errors import BrokenRun
from falx.exporting.openvino import write_network
from falx.model.deployed import Deployed
from falx.recipe import Recipe

TOLERANCE = 1e-3
"""Largest difference of a logit between Keras and OpenVINO, absolute and relative."""

DISTANCE_TOLERANCE = 1e-2
"""The same of a distance from training slices, whose whitening makes rounding larger."""


def export_detector(
    deployed: Deployed,
    folder: Path,
    *,
    recipe: Recipe,
    classes: tuple[str, ...],
    rules: Rules,
    check: np.ndarray,
) -> None:
    """Write network.keras, reference.npz, network.xml, network.bin and detector.json.

    Args:
        folder: a new one.
        check: views uint8 (n, size, size) on which both runtimes must agree.

    Raises:
        BrokenRun: they don't.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = deployed.network
    # A network of its own, since what a training compiled into it others can't load.
    keras.Model(network.inputs, network.outputs, name=network.name).save(folder / KERAS_FILE)
    deployed.reference.save(folder)
    write_network(deployed, folder / NETWORK_FILE)
    digest = network_sha256(folder)
    Settings(classes, recipe.rendering, rules, deployed.mirrored, recipe.name, digest).save(folder)
    check_parity(deployed, folder / NETWORK_FILE, check)


def check_parity(deployed: Deployed, file: Path, views: np.ndarray) -> None:
    """Compare logits and distances of a network with those of the file that was written of it.

    Args:
        views: uint8 (n, size, size).

    Raises:
        BrokenRun: they differ by more than `TOLERANCE` or `DISTANCE_TOLERANCE`.
    """
    logits, _, distances = Engine(file).answers(views)
    for what, actual, expected, tolerance in (
        ("logit", logits, deployed.logits(views), TOLERANCE),
        ("distance from training slices", distances, deployed.distances(views), DISTANCE_TOLERANCE),
    ):
        if not np.allclose(actual, expected, rtol=tolerance, atol=tolerance):
            largest = float(np.abs(actual - expected).max())
            raise BrokenRun(
                f"OpenVINO and Keras differ by up to {largest:.4f} in a {what}, more than "
                f"{tolerance}; report this with your versions (falx doctor)."
            )
