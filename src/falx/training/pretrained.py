"""Backbones that were pretrained on another dataset, kept on the shelf.

They are named by all that decides them, so folds, later runs and other seeds find them there.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
from filelock import FileLock

from falx.data import phantom
from falx.model.weights import Weights, save_weights
from falx.progress import Listener, silent
from falx.recipe import Precision, Recipe
from falx.training import checkpoint
from falx.training.checkpoint import whole_file
from falx.training.corpus import Corpus
from falx.training.shelf import Shelf, digest_of
from falx.training.transfer import Marks, Transfer
from falx.training.views import plain_digest

logger = logging.getLogger(__name__)

VERSION = 2
"""To be raised when the same is learned in another way, or phantoms are shown in another."""

_WEIGHTS_FILE = "backbone.weights.h5"
_MARKS_FILE = "marks.json"
_LOCK = ".lock"


@dataclass(frozen=True)
class Pretrained:
    """A backbone that has learned from another dataset.

    Attributes:
        file: its weights, on the shelf.
    """

    file: Path
    marks: Marks


def pretrained_backbone(
    corpus: Corpus,
    recipe: Recipe,
    weights: Weights,
    shelf: Shelf,
    *,
    precision: Precision = "fp32",
    listener: Listener = silent,
) -> Pretrained:
    """Train the backbone of a recipe on a corpus, unless the shelf holds what would come of it.

    A training that was stopped goes on after its last epoch. Who asks for the same at the same time
    waits.

    Args:
        recipe: its backbone, rendering, batch and pretraining matter.
        weights: to begin with.
        precision: of the arithmetic of convolutions.

    Raises:
        BadInput: the shelf has no room for views or checkpoints.
        UnusableTraining: the loss is no longer a number, or a process that draws phantoms ended.
    """
    logger.info(
        "pretraining on %(learned)d of %(slices)d slices of %(name)s; %(removed)d share a "
        "group with a slice of the data and are left out",
        corpus.about(),
    )
    name = f"backbone-{_digest(corpus, recipe, weights, precision)}"
    file = shelf.entry(name) / _WEIGHTS_FILE
    with FileLock(file.with_name(_LOCK)):
        if not file.is_file():
            transfer = Transfer(corpus, recipe, weights, precision, shelf, name, listener)
            transfer.run()
            _keep(transfer, shelf.entry(name))
        marks = Marks(**json.loads(file.with_name(_MARKS_FILE).read_text("utf-8")))
    logger.info(
        "pretrained on %s (%s): accuracy %.4f, AUC %.4f on %d slices held out",
        corpus.catalog.root.name, name, marks.accuracy, marks.auc, corpus.held.sum(),
    )  # fmt: skip
    return Pretrained(file, marks)


def _digest(corpus: Corpus, recipe: Recipe, weights: Weights, precision: Precision) -> str:
    """A name for all that decides what is learned."""
    return digest_of(
        VERSION,
        phantom.VERSION,
        keras.backend.backend(),
        precision,
        corpus.catalog.digest(),
        plain_digest(corpus.catalog, recipe.rendering),
        corpus.held,
        recipe.backbone.model_dump(mode="json"),
        recipe.batch,
        recipe.pretraining.model_dump(mode="json"),
        weights.sha256 or weights.name,
    )


def _keep(transfer: Transfer, folder: Path) -> None:
    """Write marks, then weights, whose file says that all is there."""
    with whole_file(folder / _MARKS_FILE) as stream:
        stream.write(json.dumps(asdict(transfer.marks())).encode())
    save_weights(transfer.backbone, folder / _WEIGHTS_FILE)
    checkpoint.remove(folder)
