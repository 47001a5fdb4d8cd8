"""The figures of a run, with their captions and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.label_check import LabelCheck
from falx.evaluation.deletion import DeletionScores
from falx.evaluation.metrics import Scores
from falx.evaluation.predictions import Predictions
from falx.evaluation.robustness import RobustnessScores
from falx.evaluation.volumes import VolumeScores
from falx.reporting.figures import classification, style
from falx.reporting.figures.contact_sheet import contact_sheet
from falx.reporting.figures.deletion import deletion_insertion
from falx.reporting.figures.forest import forest_plot
from falx.reporting.figures.robustness import robustness
from falx.reporting.figures.training_curves import training_curves
from falx.reporting.figures.volumes import free_response, probability_by_level
from falx.reporting.report import Figure
from falx.runs.run import Run

_SHOWN = 24


def draw_figures(
    run: Run, views: np.ndarray, folder: Path, *, training_views: Sequence[np.ndarray] = ()
) -> tuple[Figure, ...]:
    """Draw the figures of a run into a folder, in the order of the report.

    Args:
        views: of all usable slices, uint8 (slices, size, size), perhaps a file.
        folder: made where it is missing.
        training_views: some augmented views of a training, uint8 (size, size).
    """
    folder.mkdir(exist_ok=True)
    evaluation = run.evaluation
    figures = _of_predictions(evaluation.predictions, evaluation.scores, folder)
    if run.kind == "cross-validation":
        figures += _of_cross_validation(run, views, folder)
    else:
        figures += _of_slices(evaluation.predictions, views, folder)
    if run.kind == "training" and run.history is not None:
        figures += _of_training(run.history, training_views, folder)
    if run.random_split:
        figures.append(_of_splits(run, folder))
    if evaluation.faithfulness and evaluation.faithfulness.deletion:
        figures.append(_of_deletion(evaluation.faithfulness.deletion, folder))
    if evaluation.robustness:
        figures.append(_of_robustness(evaluation.robustness, folder))
    if evaluation.volumes:
        figures += _of_volumes(evaluation.predictions, evaluation.volumes, folder)
    return tuple(figures)


def _of_predictions(predictions: Predictions, scores: Scores, folder: Path) -> list[Figure]:
    """Figures of all predictions; each repeat of a slice counts."""
    labels = np.tile(predictions.labels, predictions.repeats)
    probabilities = np.concatenate(predictions.probabilities)
    classes, estimates = predictions.classes, scores.estimates
    threshold = predictions.median_rules.threshold
    drawn = (
        (
            "Confusion matrix",
            "Slices by true and predicted class: counts, and fractions of the true class.",
            classification.confusion_matrix(scores.confusion, classes),
        ),
        (
            "ROC",
            "True positive rate against false positive rate at every threshold.",
            classification.roc(labels, probabilities, classes, estimates["roc_auc"]),
        ),
        (
            "Precision-recall",
            "Precision against recall; the dashed line is the prevalence.",
            classification.precision_recall(
                labels, probabilities, classes, estimates["average_precision"]
            ),
        ),
        (
            "Probabilities",
            "Distribution of the predicted probability by true class.",
            classification.probabilities(labels, probabilities, classes, threshold),
        ),
        (
            "Calibration",
            "Reliability diagram: observed fraction against predicted probability.",
            classification.calibration(labels, probabilities, classes),
        ),
    )
    return [_saved(folder, *each) for each in drawn]


def _of_slices(predictions: Predictions, views: np.ndarray, folder: Path) -> list[Figure]:
    """Samples at equal steps through the classes, and the most confident errors."""
    order = np.argsort(predictions.labels, kind="stable")
    places = np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int)
    sheets = [
        (
            "Samples",
            "A sample of the slices tested, as the network sees them, with label and prediction.",
            _sheet(predictions, views, order[places], "Test slices"),
        )
    ]
    if len(predictions.wrong):
        rows = predictions.wrong[:_SHOWN]
        caption = "Misclassified slices, the most confident first."
        sheet = _sheet(predictions, views, rows, "Worst errors")
        sheets.append(("Worst errors", caption, sheet))
    return [_saved(folder, *each) for each in sheets]


def _of_cross_validation(run: Run, views: np.ndarray, folder: Path) -> list[Figure]:
    predictions = run.evaluation.predictions
    figures = []
    if predictions.repeats > 1:
        if len(predictions.wrong):
            figures.append(_of_repeated_errors(predictions, views, folder))
    else:
        figures += _of_slices(predictions, views, folder)
    check = run.evaluation.label_check
    if check.label_issues:
        figures.append(_of_label_issues(check, run.catalog.usable(), views, folder))
    return figures


def _of_repeated_errors(predictions: Predictions, views: np.ndarray, folder: Path) -> Figure:
    shown = predictions.misclassifications()[:_SHOWN]
    captions = [
        f"{each.label} → {each.predicted}, {each.times} of {predictions.repeats}" for each in shown
    ]
    sheet = contact_sheet(
        [views[predictions.rows[row]] for row in predictions.wrong[:_SHOWN]],
        captions,
        marks=[False] * len(shown),
        title="Repeated errors",
    )
    caption = "Misclassified slices, those misclassified in most repeats first."
    return _saved(folder, "Repeated errors", caption, sheet)


def _of_label_issues(check: LabelCheck, usable: Catalog, views: np.ndarray, folder: Path) -> Figure:
    shown, labels = check.label_issues[:_SHOWN], usable.table["label"]
    captions = [
        f"{labels.iat[issue.row]} → {issue.suggested}\n"
        f"p({labels.iat[issue.row]}) {issue.probability:.2f}"
        for issue in shown
    ]
    sheet = contact_sheet([views[issue.row] for issue in shown], captions, title="Label issues")
    caption = (
        "Label → suggested class, and the out-of-fold probability of the label, the least probable "
        "first."
    )
    return _saved(folder, "Label issues", caption, sheet)


def _of_training(
    history: pd.DataFrame, training_views: Sequence[np.ndarray], folder: Path
) -> list[Figure]:
    """Curves over several epochs, which a head that is fitted at once does not have, and views."""
    figures = []
    if len(history) > 1:
        caption = "Loss, accuracy and AUC by epoch, on augmented training and on validation slices."
        figures.append(_saved(folder, "Training", caption, training_curves(history)))
    sheet = contact_sheet(list(training_views), [""] * len(training_views), title="Training views")
    caption = "Augmented slices of one training batch, as the network sees them."
    return [*figures, _saved(folder, "Views", caption, sheet)]


def _of_splits(run: Run, folder: Path) -> Figure:
    assert run.random_split is not None
    scores: Mapping[str, Scores] = {
        "this split": run.scores,
        "random split": run.random_split.scores,
    }
    if run.random_split.without_leakage:
        rest = run.random_split.without_leakage.scores
        scores = {**scores, "random, without leakage": rest}
    drawn = forest_plot(scores, ("accuracy", "balanced_accuracy", "roc_auc"))
    return _saved(folder, "Splits", "The same recipe, with and without leakage.", drawn)


def _of_deletion(scores: DeletionScores, folder: Path) -> Figure:
    caption = (
        "Probability of the predicted class while pixels are replaced by those of the nearest "
        "slice with another prediction, and while they are restored; bands are 95 % confidence "
        "intervals over groups."
    )
    return _saved(folder, "Deletion and insertion", caption, deletion_insertion(scores))


def _of_robustness(scores: RobustnessScores, folder: Path) -> Figure:
    caption = (
        "Scores of corrupted slices at three strengths; the dashed line is without corruption."
    )
    return _saved(folder, "Robustness", caption, robustness(scores))


def _of_volumes(predictions: Predictions, scores: VolumeScores, folder: Path) -> list[Figure]:
    """Figures of slices of volumes; each repeat of a slice counts."""
    level = predictions.table["level"].to_numpy(float)
    rows = np.flatnonzero(np.isfinite(level))
    by_level = probability_by_level(
        np.tile(level[rows], predictions.repeats),
        np.tile(predictions.positive[rows], predictions.repeats),
        predictions.tumor_probabilities[:, rows].ravel(),
        predictions.median_rules.threshold if len(predictions.classes) == 2 else None,
    )
    drawn = (
        (
            "Free-response",
            "Fraction of lesions found against false positives a volume, at every threshold.",
            free_response(scores),
        ),
        (
            "Probability by level",
            "Mean probability of a tumor by level; bands reach from lower to upper quartile.",
            by_level,
        ),
    )
    return [replace(_saved(folder, *each), section="volumes") for each in drawn]


def _saved(folder: Path, title: str, caption: str, figure: Any) -> Figure:
    path = folder / f"{title.lower().replace(' ', '_').replace('-', '_')}.png"
    style.save(figure, path)
    return Figure(title, caption, path)


def _sheet(predictions: Predictions, views: np.ndarray, rows: np.ndarray, title: str) -> Any:
    """Some slices with label, prediction and probability."""
    binary = len(predictions.classes) == 2
    shown = f"p({predictions.classes[1]})" if binary else "p"
    captions, correct = [], []
    for row in rows:
        label, code = predictions.labels[row], predictions.predicted_codes[0, row]
        probability = predictions.probabilities[0, row, 1 if binary else code]
        names = f"{predictions.classes[label]} → {predictions.classes[code]}"
        captions.append(f"{names}, {shown} {probability:.2f}")
        correct.append(bool(label == code))
    pictures = [views[predictions.rows[row]] for row in rows]
    return contact_sheet(pictures, captions, marks=correct, title=title)
