"""One phase of a training, ready to run: frozen trunk, and compiled tail with its optimizer."""

from __future__ import annotations

from typing import Any

import keras

from falx.model.network import cut_network
from falx.recipe import Phase, Precision, Recipe
from falx.training.optimizers import make_optimizer


class Stage:
    """The parts of a network in one phase, compiled once and reset for each training.

    Attributes:
        trunk: frozen part, gray levels -> features; None where nothing is frozen.
        tail: trained part, features, or gray levels without a trunk -> logits.
        optimizer: of the tail.
        classes: number of classes.
    """

    def __init__(
        self,
        network: keras.Model,
        recipe: Recipe,
        phase: Phase,
        classes: int,
        precision: Precision = "fp32",
    ) -> None:
        """Cut a network and compile its tail.

        Args:
            network: as returned by `build_network`; both parts share its variables.
            precision: of the convolutions in the tail.
        """
        parts = cut_network(network, recipe, phase, precision)
        self.trunk, self.tail, self.classes = parts.trunk, parts.tail, classes
        optimizer = make_optimizer(recipe.optimizer, phase.learning_rate)
        loss, metrics = _loss_and_metrics(classes)
        self.tail.compile(optimizer, loss, metrics=metrics)
        self.optimizer: keras.optimizers.Optimizer = self.tail.optimizer
        self.optimizer.build(self.tail.trainable_variables)
        self._initial = [keras.ops.convert_to_numpy(v) for v in self.optimizer.variables]
        self._learning_rate = phase.learning_rate

    def reset(self) -> None:
        """Reset the optimizer, moments and learning rate, as it was before any training."""
        for variable, value in zip(self.optimizer.variables, self._initial, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate = self._learning_rate


class SoftmaxAUC(keras.metrics.AUC):
    """The macro-averaged one-vs-rest AUC of softmax probabilities.

    Keras would apply a sigmoid to each logit, which ranks slices differently.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, keras.ops.softmax(y_pred), sample_weight)


def _loss_and_metrics(classes: int) -> tuple[keras.losses.Loss, list[keras.metrics.Metric]]:
    losses, metrics = keras.losses, keras.metrics
    if classes == 2:
        return losses.BinaryCrossentropy(from_logits=True), [
            metrics.BinaryAccuracy(threshold=0.0, name="accuracy"),
            metrics.AUC(from_logits=True, name="auc"),
        ]
    return losses.CategoricalCrossentropy(from_logits=True), [
        metrics.CategoricalAccuracy(name="accuracy"),
        SoftmaxAUC(multi_label=True, num_labels=classes, name="auc"),
    ]
