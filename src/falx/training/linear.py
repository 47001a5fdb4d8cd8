"""Trainings that fit a linear head to features of a frozen backbone: OpenVINO and scikit-learn.

Nothing here needs Keras or TensorFlow, whose import and conversion would take most of the time.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from falx.detect.finding import class_probabilities
from falx.detect.rules import Rules
from falx.exporting.arrays import read_convolutions
from falx.exporting.direct import LinearHead, feature_graph, pooled_depth
from falx.exporting.linear_detector import (
    LinearDetector,
    calibrated,
    check_logits,
    count_parameters,
    export_linear,
)
from falx.model.reference import MahalanobisReference
from falx.model.weights import weights_sha256
from falx.progress import Listener, Progress, silent
from falx.recipe import Phase, Precision, Recipe
from falx.training.bank import FeatureBank
from falx.training.disk_cache import DiskCache, digest_of
from falx.training.logistic import fit_logistic
from falx.training.openvino_trunk import OpenVinoTrunk
from falx.training.schedule import last_phase, phase_views, total_epochs
from falx.training.targets import balanced_weights
from falx.training.views import FLIPPED, PLAIN, Views

VERSION = 2
"""To be raised when the same backbone gives different features."""


def fits_linear_head(recipe: Recipe, weights: Path | None) -> bool:
    """Whether a recipe only fits a linear head to features of a backbone with known weights.

    Not with another backend of Keras than TensorFlow, which is there to use a GPU.
    """
    active = [phase for phase in recipe.phases if phase.epochs]
    return (
        weights is not None
        and [phase.solver for phase in active] == ["logistic"]
        and recipe.backbone.normalization == "inference"
        and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    )


class LinearTrainer:
    """Trainings of one recipe on one set of slices; each is determined by its split.

    Attributes:
        convolutions: of the backbone.
        parameters: of the network.
    """

    def __init__(
        self,
        recipe: Recipe,
        views: Views,
        labels: np.ndarray,
        classes: int,
        sources: np.ndarray,
        *,
        weights: Path,
        cache: DiskCache,
        precision: Precision = "fp32",
        listener: Listener = silent,
    ) -> None:
        """Build and compile what gives the features.

        Args:
            views: of all slices; splits are rows of them.
            labels: class codes, int (n,).
            classes: number of classes.
            sources: source of each slice, int (n,).
            weights: file of backbone weights.
            cache: of feature banks.
            precision: arithmetic of the convolutions.

        Raises:
            BadInput: the weights are not those of the backbone, or there is no bfloat16.
        """
        self.recipe = recipe
        self.views = views
        self.labels = labels
        self.classes = classes
        self.sources = sources
        self.listener = listener
        localization = recipe.backbone.localization
        self.convolutions = read_convolutions(weights, localization=localization)
        self._depth = pooled_depth(recipe, self.convolutions)
        outputs = 1 if classes == 2 else classes
        empty = LinearHead(np.zeros((self._depth, outputs)), np.zeros(outputs))
        self.parameters = count_parameters(self.convolutions, empty)
        graph = feature_graph(recipe, self.convolutions)
        digest = digest_of(
            VERSION, weights_sha256(weights), precision,
            recipe.backbone.model_dump(mode="json"), recipe.rendering.size,
        )  # fmt: skip
        shape = (graph.outputs[0].get_partial_shape()[1].get_length(),)
        trunk = OpenVinoTrunk(graph, recipe.rendering.size, shape, digest, precision)
        self._bank = FeatureBank(views, trunk, cache, 1 + total_epochs(recipe))
        self._head: LinearHead | None = None

    @property
    def head(self) -> LinearHead:
        """Of the last training."""
        if self._head is None:
            raise ValueError("`train` must be called first.")
        return self._head

    def train(
        self,
        train: np.ndarray,
        validation: np.ndarray,
        *,
        seed: int,  # noqa: ARG002
        folder: Path | None = None,  # noqa: ARG002
        tensorboard: Path | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Fit the head; see falx.training.trainer.Trainer.

        Nothing is random here, and it takes seconds: seed, checkpoints and logs are not used.
        """
        started = time.monotonic()
        index = last_phase(self.recipe)
        phase, views = self.recipe.phases[index], phase_views(self.recipe, index)
        self._prepare({PLAIN: validation} | dict.fromkeys(views, train))
        labels = self.labels[train]
        balanced = self.recipe.class_weights == "balanced"
        weights = balanced_weights(labels, self.sources[train], self.classes) if balanced else None
        kernel, bias = fit_logistic(
            np.concatenate([self._pooled(view, train) for view in views]),
            np.tile(labels, len(views)),
            None if weights is None else np.tile(weights, len(views)),
            views=len(views),
            l2=phase.l2,
        )
        self._head = LinearHead(kernel, bias)
        self.listener(Progress("Training", phase.epochs, phase.epochs, phase.name))
        measured = self._measured(train, views[-1]) | {
            f"val_{name}": value for name, value in self._measured(validation, PLAIN).items()
        }
        return _history(phase, measured, time.monotonic() - started)

    # `seed` is of the protocol; a linear head needs none.
    def prepare(self, rows: np.ndarray, *, seed: int) -> None:  # noqa: ARG002
        """Compute the features of all views of some rows, before trainings need them."""
        views = phase_views(self.recipe, last_phase(self.recipe))
        self._prepare(dict.fromkeys([*self._tested, *views], rows))

    # As above.
    def untrained_features(self, *, seed: int) -> np.ndarray:  # noqa: ARG002
        """Features (n, channels) of all plain views, for which nothing is trained here."""
        return self.ood_features(np.arange(len(self.views)))

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Class probabilities float64 (rows, classes) by the last training.

        Of plain views, with test-time augmentation if the recipe says so.
        """
        self._prepare(dict.fromkeys(self._tested, rows))
        return class_probabilities(self._mean_logits(rows))

    def pooled_features(self, rows: np.ndarray) -> np.ndarray:
        """Features float64 (rows, depth) that the head is applied to.

        Of plain views, with test-time augmentation if the recipe says so: the mean over both.
        """
        self._prepare(dict.fromkeys(self._tested, rows))
        pooled = np.stack([self._pooled(view, rows) for view in self._tested])
        mean: np.ndarray = pooled.mean(axis=0, dtype=np.float64)
        return mean

    def ood_features(self, rows: np.ndarray, view: int = PLAIN) -> np.ndarray:
        """Features (rows, channels) of the Mahalanobis distance."""
        self._prepare({view: rows})
        return self._bank.take(view, rows)[:, self._depth :]

    def export(
        self,
        folder: Path,
        *,
        classes: tuple[str, ...],
        rules: Rules,
        reference: MahalanobisReference,
        parity_rows: np.ndarray,
    ) -> None:
        """Write the last training as a detector folder; see falx.training.trainer.Trainer."""
        head = calibrated(self.head, rules.temperature)
        detector = LinearDetector(self.recipe, self.convolutions, head, reference)
        export_linear(detector, folder, classes=classes, rules=rules)
        expected = self._mean_logits(parity_rows) / rules.temperature
        check_logits(folder, self.views.plain[parity_rows], expected)

    def _prepare(self, rows: dict[int, np.ndarray]) -> None:
        self._bank.prepare(rows, self.listener)

    def _pooled(self, view: int, rows: np.ndarray) -> np.ndarray:
        return self._bank.take(view, rows)[:, : self._depth].astype(np.float32)

    @property
    def _tested(self) -> tuple[int, ...]:
        """The views of a slice whose logits are averaged in a prediction."""
        return (PLAIN, FLIPPED) if self.recipe.flip_tta else (PLAIN,)

    def _mean_logits(self, rows: np.ndarray) -> np.ndarray:
        """Logits (rows, k), with test-time augmentation if the recipe says so."""
        return np.mean([self._logits(view, rows) for view in self._tested], axis=0)

    def _logits(self, view: int, rows: np.ndarray) -> np.ndarray:
        return self._pooled(view, rows) @ self.head.kernel + self.head.bias

    def _measured(self, rows: np.ndarray, view: int) -> dict[str, float]:
        """Loss, accuracy and AUC on one view of some rows."""
        probabilities, labels = class_probabilities(self._logits(view, rows)), self.labels[rows]
        codes = np.arange(self.classes)
        one_hot = np.eye(self.classes)[labels]
        defined = one_hot.mean(axis=0).min() > 0
        return {
            "loss": float(log_loss(labels, probabilities, labels=codes)),
            "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
            "auc": float(roc_auc_score(one_hot, probabilities)) if defined else math.nan,
        }


def _history(phase: Phase, measured: Mapping[str, float], seconds: float) -> pd.DataFrame:
    """One row, as of an epoch."""
    names = ("loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc")
    row = {"epoch": 1, "phase": phase.name, **{name: measured[name] for name in names}}
    return pd.DataFrame([{**row, "learning_rate": 0.0, "seconds": round(seconds, 3), "best": True}])
