"""A linear head on a frozen backbone as the detector folder of a run, without Keras.

The folder holds what the Keras network can be built from when an export needs it (see
falx.exporting.keras_network).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openvino

from falx.detect.detector import KERAS_FILE, NETWORK_FILE, network_sha256
from falx.detect.engine import Engine
from falx.detect.rules import Rules
from falx.detect.settings import Settings
from falx.errors import BrokenRun
from falx.exporting.arrays import MAP, Convolution, Convolutions, read_convolutions
from falx.exporting.direct import LinearHead, detector_graph
from falx.model.reference import MahalanobisReference
from falx.recipe import Recipe, load_recipe
from falx.serialization import array_names, read_arrays

HEAD_FILE = "head.npz"
RECIPE_FILE = "recipe.yaml"

TOLERANCE = 0.05
"""Largest difference of logits, absolute and relative, from those of features in half precision."""


@dataclass(frozen=True, eq=False)
class LinearDetector:
    """What a detector folder is written from.

    Attributes:
        convolutions: of the backbone.
        head: of calibrated logits.
        reference: of the Mahalanobis distances.
        is_adapted: whether its logits are not those of its training any more.
    """

    recipe: Recipe
    convolutions: Convolutions
    head: LinearHead
    reference: MahalanobisReference
    is_adapted: bool = False


def with_last_layers(
    folder: Path,
    head: LinearHead,
    reference: MahalanobisReference,
    tumor_map: Convolution | None = None,
) -> LinearDetector:
    """The detector of a folder, with another head and reference.

    Args:
        tumor_map: last layer of its localization head, if that is another too.

    Raises:
        BrokenRun: the folder is damaged, or of no linear detector.
    """
    recipe = load_recipe(folder / RECIPE_FILE)
    localization = recipe.backbone.localization
    convolutions = read_convolutions(folder / NETWORK_FILE, localization=localization)
    if tumor_map is not None:
        convolutions[MAP] = tumor_map
    old = load_head(folder)
    is_same = np.array_equal(head.kernel, old.kernel) and np.array_equal(head.bias, old.bias)
    adapted = is_adapted(folder) or tumor_map is not None or not is_same
    return LinearDetector(recipe, convolutions, head, reference, adapted)


def export_linear(
    detector: LinearDetector,
    folder: Path,
    *,
    classes: tuple[str, ...],
    rules: Rules,
    half: bool = False,
) -> None:
    """Write the network, what Keras can build it from, and detector.json.

    Args:
        folder: a new one.
        half: whether weights are in half precision, at half the size.

    Raises:
        OSError: the folder can't be written completely.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe, convolutions = detector.recipe, detector.convolutions
    graph = detector_graph(recipe, convolutions, detector.head, detector.reference)
    _save(graph, folder / NETWORK_FILE, half=half)
    detector.reference.save(folder)
    head = detector.head
    parameters = count_parameters(convolutions, head)
    np.savez(
        folder / HEAD_FILE, kernel=head.kernel, bias=head.bias, parameters=parameters,
        adapted=detector.is_adapted,
    )  # fmt: skip
    (folder / RECIPE_FILE).write_text(recipe.to_yaml(), "utf-8")
    settings = Settings(
        classes, recipe.rendering, rules, recipe.flip_tta, recipe.name, network_sha256(folder),
        localizes=recipe.backbone.localization,
    )  # fmt: skip
    settings.save(folder)


def count_parameters(convolutions: Convolutions, head: LinearHead) -> int:
    """Number of parameters of a network, with normalization folded."""
    arrays = [part for each in (*convolutions.values(), head) for part in vars(each).values()]
    return sum(array.size for array in arrays)


def _save(graph: openvino.Model, file: Path, *, half: bool) -> None:
    """Write a network; OpenVINO reports a full disk only as a failed stream."""
    try:
        openvino.save_model(graph, file, compress_to_fp16=half)
    except RuntimeError as error:
        if "iostream" not in str(error):
            raise
        raise OSError(errno.EIO, "it could not be written completely", str(file)) from error


def check_logits(folder: Path, views: np.ndarray, expected: np.ndarray) -> None:
    """Compare the logits of a detector folder with those of its head on features.

    Args:
        views: uint8 (n, size, size).
        expected: from features in half precision, float (n, k).

    Raises:
        BrokenRun: they differ by more than `TOLERANCE`.
    """
    logits, _, _ = Engine(folder / NETWORK_FILE).infer(views)
    if not np.allclose(logits, expected, rtol=TOLERANCE, atol=TOLERANCE):
        largest = float(np.abs(logits - expected).max())
        raise BrokenRun(
            f"The detector and its training differ by up to {largest:.4f} in a logit, more than "
            f"{TOLERANCE}; report this with your versions (falx doctor)."
        )


def has_keras(folder: Path) -> bool:
    """Whether a detector folder holds its Keras network, or what it can be built from."""
    return (folder / KERAS_FILE).is_file() or (folder / HEAD_FILE).is_file()


def load_head(folder: Path) -> LinearHead:
    """The head of a detector folder.

    Raises:
        BrokenRun: its file is missing or damaged.
    """
    return LinearHead(**read_arrays(folder / HEAD_FILE, "kernel", "bias"))


def is_adapted(folder: Path) -> bool:
    """Whether the logits of a detector folder are not those of its training any more.

    Of a head from before falx kept that, they are taken to be.

    Raises:
        BrokenRun: the file of its head is missing or damaged.
    """
    file = folder / HEAD_FILE
    return "adapted" in array_names(file) and bool(read_arrays(file, "adapted")["adapted"])


def stored_parameters(folder: Path) -> int:
    """Number of parameters of the network of a detector folder.

    Raises:
        BrokenRun: the file of its head is missing or damaged.
    """
    return int(read_arrays(folder / HEAD_FILE, "parameters")["parameters"])


def calibrated(head: LinearHead, temperature: float) -> LinearHead:
    """The head whose logits are divided by a temperature."""
    return replace(head, kernel=head.kernel / temperature, bias=head.bias / temperature)
