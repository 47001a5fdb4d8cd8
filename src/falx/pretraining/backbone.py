"""Backbones pretrained on another dataset, kept in the cache.

They are identified by all that determines them, so folds, seeds and later runs share them.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
from filelock import FileLock

from falx import phantoms
from falx.model.weights import Weights, save_weights
from falx.pretraining.corpus import Corpus
from falx.pretraining.transfer import HeldOutScores, Transfer
from falx.progress import Listener, silent
from falx.recipe import Precision, Recipe
from falx.training import checkpoint
from falx.training.disk_cache import DiskCache, atomic_write, digest_of
from falx.training.views import plain_digest

logger = logging.getLogger(__name__)

VERSION = 3
"""To be raised when pretraining, or the rendering of phantoms for it, changes."""

_WEIGHTS_FILE = "backbone.weights.h5"
_SCORES_FILE = "held_out_scores.json"
_LOCK_FILE = ".lock"


@dataclass(frozen=True)
class PretrainedBackbone:
    """A backbone pretrained on another dataset.

    Attributes:
        file: of its weights, in the cache.
    """

    file: Path
    held_out_scores: HeldOutScores


def pretrained_backbone(
    corpus: Corpus,
    recipe: Recipe,
    weights: Weights,
    cache: DiskCache,
    *,
    precision: Precision = "fp32",
    listener: Listener = silent,
) -> PretrainedBackbone:
    """Train the backbone of a recipe on a corpus, unless the result is in the cache.

    An interrupted training is resumed after its last complete epoch. Processes that need the same
    backbone at the same time wait for the first one.

    Args:
        recipe: its backbone, rendering, batch size and pretraining are used.
        weights: initial weights.
        precision: arithmetic of the convolutions.

    Raises:
        BadInput: the cache has no room for views or checkpoints.
        UnusableTraining: the loss is not finite, or a process that draws phantoms was terminated.
    """
    logger.info(
        "pretraining on %(trained_on)d of %(slices)d slices of %(name)s; %(excluded)d are excluded "
        "because they share a group with a slice of the data",
        corpus.summary(),
    )
    name = f"backbone-{_digest(corpus, recipe, weights, precision)}"
    file = cache.entry(name) / _WEIGHTS_FILE
    with FileLock(file.with_name(_LOCK_FILE)):
        if not file.is_file():
            transfer = Transfer(corpus, recipe, weights, precision, cache, name, listener)
            transfer.run()
            _save(transfer, cache.entry(name))
        scores = HeldOutScores(**json.loads(file.with_name(_SCORES_FILE).read_text("utf-8")))
    logger.info(
        "pretrained on %s (%s): accuracy %.4f, AUC %.4f on %d held-out slices",
        corpus.catalog.root.name, name, scores.accuracy, scores.auc, corpus.held_out.sum(),
    )  # fmt: skip
    return PretrainedBackbone(file, scores)


def _digest(corpus: Corpus, recipe: Recipe, weights: Weights, precision: Precision) -> str:
    """A digest of all that determines the pretrained weights."""
    return digest_of(
        VERSION,
        phantoms.VERSION,
        keras.backend.backend(),
        precision,
        corpus.catalog.digest(),
        plain_digest(corpus.catalog, recipe.rendering),
        corpus.held_out,
        recipe.backbone.model_dump(mode="json"),
        recipe.batch_size,
        recipe.pretraining.model_dump(mode="json"),
        weights.sha256 or weights.name,
    )


def _save(transfer: Transfer, folder: Path) -> None:
    """Write the scores, then the weights, whose file says that the entry is complete."""
    with atomic_write(folder / _SCORES_FILE) as stream:
        stream.write(json.dumps(asdict(transfer.held_out_scores())).encode())
    save_weights(transfer.backbone, folder / _WEIGHTS_FILE)
    checkpoint.remove(folder)
