"""The figures of an evaluation and of a training by name, each drawn when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from falx.evaluation.deletion import DeletionScores
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.metrics import Scores
from falx.evaluation.predictions import Predictions
from falx.evaluation.robustness import RobustnessScores
from falx.evaluation.volumes import VolumeScores
from falx.figures import classification
from falx.figures.deletion import deletion_insertion
from falx.figures.forest import forest_plot
from falx.figures.robustness import robustness
from falx.figures.training_curves import training_curves
from falx.figures.volumes import free_response, probability_by_level

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure that can be drawn.

    Attributes:
        title: such as "Confusion matrix".
        caption: a sentence on what it shows.
        draw: draws it anew.
    """

    title: str
    caption: str
    draw: Callable[[], Figure]

    @property
    def name(self) -> str:
        """The title as a name, such as "confusion_matrix"."""
        return figure_name(self.title)


class Figures(Mapping[str, "Figure"]):
    """Figures by name; one is drawn whenever it is taken out."""

    def __init__(self, by_name: Mapping[str, Drawing]) -> None:
        self._by_name = by_name

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        *,
        history: pd.DataFrame | None = None,
        random_split: Evaluation | None = None,
    ) -> Figures:
        """All that can be drawn of an evaluation.

        Args:
            history: of one training, as falx.training.trainer.Trainer.train gives it.
            random_split: of the same recipe on a random split.
        """
        found = of_predictions(evaluation)
        if history is not None:
            found += of_training(history)
        found += of_checks(evaluation, random_split)
        if evaluation.volumes:
            found += of_volumes(evaluation.predictions, evaluation.volumes)
        return cls({each.name: each for each in found})

    def __getitem__(self, name: str) -> Figure:
        if name not in self._by_name:
            raise KeyError(f"There is no figure '{name}', only {', '.join(self)}.")
        return self._by_name[name].draw()

    def __contains__(self, name: object) -> bool:
        # That of a mapping would draw.
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Figures({', '.join(self)})"


def figure_name(title: str) -> str:
    """A title in lower case, with underscores."""
    return title.lower().replace(" ", "_").replace("-", "_")


def of_predictions(evaluation: Evaluation) -> list[Drawing]:
    """Figures of all predictions; each repeat of a slice counts."""
    predictions, scores = evaluation.predictions, evaluation.scores
    labels = np.tile(predictions.labels, predictions.repeats)
    probabilities = np.concatenate(predictions.probabilities)
    classes, estimates = predictions.classes, scores.estimates
    threshold = predictions.median_rules.threshold
    return [
        Drawing(
            "Confusion matrix",
            "Slices by true and predicted class: counts, and fractions of the true class.",
            lambda: classification.confusion_matrix(scores.confusion, classes),
        ),
        Drawing(
            "ROC",
            "True positive rate against false positive rate at every threshold.",
            lambda: classification.roc(labels, probabilities, classes, estimates["roc_auc"]),
        ),
        Drawing(
            "Precision-recall",
            "Precision against recall; the dashed line is the prevalence.",
            lambda: classification.precision_recall(
                labels, probabilities, classes, estimates["average_precision"]
            ),
        ),
        Drawing(
            "Probabilities",
            "Distribution of the predicted probability by true class.",
            lambda: classification.probabilities(labels, probabilities, classes, threshold),
        ),
        Drawing(
            "Calibration",
            "Reliability diagram: observed fraction against predicted probability.",
            lambda: classification.calibration(labels, probabilities, classes),
        ),
    ]


def of_training(history: pd.DataFrame) -> list[Drawing]:
    """The curves of one training; a head that is fitted at once, in a single epoch, has none."""
    if len(history) < 2:
        return []
    caption = "Loss, accuracy and AUC by epoch, on augmented training and on validation slices."
    return [Drawing("Training", caption, lambda: training_curves(history))]


def of_checks(evaluation: Evaluation, random_split: Evaluation | None = None) -> list[Drawing]:
    """Figures of what was measured besides, where it was.

    Args:
        random_split: of the same recipe on a random split.
    """
    found = []
    if random_split:
        found.append(_of_splits(evaluation.scores, random_split))
    if evaluation.faithfulness and evaluation.faithfulness.deletion:
        found.append(_of_deletion(evaluation.faithfulness.deletion))
    if evaluation.robustness:
        found.append(_of_robustness(evaluation.robustness))
    return found


def of_volumes(predictions: Predictions, scores: VolumeScores) -> list[Drawing]:
    """Figures of slices of volumes; each repeat of a slice counts."""
    level = predictions.table["level"].to_numpy(float)
    rows = np.flatnonzero(np.isfinite(level))
    binary = len(predictions.classes) == 2
    return [
        Drawing(
            "Free-response",
            "Fraction of lesions found against false positives a volume, at every threshold.",
            lambda: free_response(scores),
        ),
        Drawing(
            "Probability by level",
            "Mean probability of a tumor by level; bands reach from lower to upper quartile.",
            lambda: probability_by_level(
                np.tile(level[rows], predictions.repeats),
                np.tile(predictions.positive[rows], predictions.repeats),
                predictions.tumor_probabilities[:, rows].ravel(),
                predictions.median_rules.threshold if binary else None,
            ),
        ),
    ]


def _of_splits(own: Scores, random_split: Evaluation) -> Drawing:
    scores: Mapping[str, Scores] = {"this split": own, "random split": random_split.scores}
    if random_split.without_leakage:
        scores = {**scores, "random, without leakage": random_split.without_leakage.scores}
    metrics = ("accuracy", "balanced_accuracy", "roc_auc")
    return Drawing(
        "Splits",
        "The same recipe, with and without leakage.",
        lambda: forest_plot(scores, metrics),
    )


def _of_deletion(scores: DeletionScores) -> Drawing:
    return Drawing(
        "Deletion and insertion",
        "Probability of the predicted class while pixels are replaced by those of the nearest "
        "slice with another prediction, and while they are restored; bands are 95 % confidence "
        "intervals over groups.",
        lambda: deletion_insertion(scores),
    )


def _of_robustness(scores: RobustnessScores) -> Drawing:
    return Drawing(
        "Robustness",
        "Scores of corrupted slices at three strengths; the dashed line is without corruption.",
        lambda: robustness(scores),
    )
