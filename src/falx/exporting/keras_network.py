"""The Keras network of a detector, for exports, further training and tests of its heat maps."""

from __future__ import annotations

from pathlib import Path

import keras

from falx.detect.detector import KERAS_FILE
from falx.errors import BrokenRun
from falx.exporting.linear_detector import BACKBONE_FILE, HEAD_FILE, RECIPE_FILE, load_head
from falx.model.network import build_network
from falx.recipe import load_recipe


def load_keras(folder: Path) -> keras.Model:
    """The network of a detector folder: gray levels -> calibrated logits.

    Raises:
        BrokenRun: it is missing, or can't be read by this version of Keras.
    """
    file = folder / KERAS_FILE
    if not file.is_file() and (folder / HEAD_FILE).is_file():
        return _built(folder)
    try:
        return keras.saving.load_model(file, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BrokenRun(
            f"'{file}' can't be read by Keras {keras.__version__}; copy the run anew, or train "
            "again."
        ) from error


def keras_file(folder: Path, place: Path) -> Path:
    """The file of the Keras network of a detector folder, written to a place where it has none."""
    file = folder / KERAS_FILE
    if not file.is_file():
        file = place / KERAS_FILE
        load_keras(folder).save(file)
    return file


def _built(folder: Path) -> keras.Model:
    """The network of a linear head, with its values as they were when it was fitted."""
    head, recipe = load_head(folder), load_recipe(folder / RECIPE_FILE)
    outputs = head.kernel.shape[1]
    classes = 2 if outputs == 1 else outputs
    network = build_network(recipe, classes, str(folder / BACKBONE_FILE))
    network.get_layer("logits").set_weights([head.kernel, head.bias])
    return network
