"""The figures of a run, with their captions and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from falx.data.catalog import Catalog
from falx.data.label_check import LabelCheck
from falx.evaluation.predictions import Predictions
from falx.figures import style
from falx.figures.contact_sheet import contact_sheet
from falx.figures.drawing import Drawing, of_checks, of_predictions, of_training, of_volumes
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
    planned = of_predictions(evaluation)
    if run.kind == "cross-validation":
        planned += _of_cross_validation(run, views)
    else:
        planned += _of_slices(evaluation.predictions, views)
    if run.kind == "training" and run.history is not None:
        planned += [*of_training(run.history), _of_training_views(training_views)]
    planned += of_checks(evaluation, run.random_split)
    figures = [_saved(folder, each) for each in planned]
    if evaluation.volumes:
        of_volume = of_volumes(evaluation.predictions, evaluation.volumes)
        figures += [replace(_saved(folder, each), section="volumes") for each in of_volume]
    return tuple(figures)


def _of_slices(predictions: Predictions, views: np.ndarray) -> list[Drawing]:
    """Samples at equal steps through the classes, and the most confident errors."""
    order = np.argsort(predictions.labels, kind="stable")
    places = np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int)
    sheets = [
        Drawing(
            "Samples",
            "A sample of the slices tested, as the network sees them, with label and prediction.",
            lambda: _sheet(predictions, views, order[places], "Test slices"),
        )
    ]
    if len(predictions.wrong):
        rows = predictions.wrong[:_SHOWN]
        sheets.append(
            Drawing(
                "Worst errors",
                "Misclassified slices, the most confident first.",
                lambda: _sheet(predictions, views, rows, "Worst errors"),
            )
        )
    return sheets


def _of_cross_validation(run: Run, views: np.ndarray) -> list[Drawing]:
    predictions = run.evaluation.predictions
    planned = []
    if predictions.repeats == 1:
        planned += _of_slices(predictions, views)
    elif len(predictions.wrong):
        planned.append(_of_repeated_errors(predictions, views))
    check = run.evaluation.label_check
    if check.label_issues:
        planned.append(_of_label_issues(check, run.catalog.usable(), views))
    return planned


def _of_repeated_errors(predictions: Predictions, views: np.ndarray) -> Drawing:
    shown = predictions.misclassifications()[:_SHOWN]
    captions = [
        f"{each.label} → {each.predicted}, {each.times} of {predictions.repeats}" for each in shown
    ]
    return Drawing(
        "Repeated errors",
        "Misclassified slices, those misclassified in most repeats first.",
        lambda: contact_sheet(
            [views[predictions.rows[row]] for row in predictions.wrong[:_SHOWN]],
            captions,
            marks=[False] * len(shown),
            title="Repeated errors",
        ),
    )


def _of_label_issues(check: LabelCheck, usable: Catalog, views: np.ndarray) -> Drawing:
    shown, labels = check.label_issues[:_SHOWN], usable.table["label"]
    captions = [
        f"{labels.iat[issue.row]} → {issue.suggested}\n"
        f"p({labels.iat[issue.row]}) {issue.probability:.2f}"
        for issue in shown
    ]
    return Drawing(
        "Label issues",
        "Label → suggested class, and the out-of-fold probability of the label, the least probable "
        "first.",
        lambda: contact_sheet(
            [views[issue.row] for issue in shown], captions, title="Label issues"
        ),
    )


def _of_training_views(training_views: Sequence[np.ndarray]) -> Drawing:
    captions = [""] * len(training_views)
    return Drawing(
        "Views",
        "Augmented slices of one training batch, as the network sees them.",
        lambda: contact_sheet(list(training_views), captions, title="Training views"),
    )


def _saved(folder: Path, drawing: Drawing) -> Figure:
    path = folder / f"{drawing.name}.png"
    style.save(drawing.draw(), path)
    return Figure(drawing.title, drawing.caption, path)


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
