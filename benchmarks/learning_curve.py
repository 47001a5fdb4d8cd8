"""What a few labeled patients of a place are worth: `python learning_curve.py RUN LOCAL`.

For every number of patients, every subset of so many adapts the detector by each candidate that
`falx adapt` has (see falx.runs.adaptation), whether that is significant or not, and the other
patients test it beside the detector as it is. With one patient, nothing can be chosen on another,
so that thresholds stay as they are. Prints a table of means over subsets; docs/adapt.md holds one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from falx.data.catalog import build_catalog
from falx.detect.detector import Detector, detector_folder, load
from falx.detect.finding import class_probabilities
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.predictions import Predictions
from falx.exporting.linear_detector import load_head
from falx.runs.adaptation import LinearRules, fit
from falx.runs.local_data import LocalData, read_local
from falx.training.adaptation import Candidate, Layers, fit_layers
from falx.verbs.evaluate import with_classes_of

COLUMNS = ("log loss", "AUC", "AUC at the same level", "coverage", "OOD rate", "referred")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("local", type=Path)
    parser.add_argument("--candidates", default="rules,map", help="which to adapt by")
    arguments = parser.parse_args()
    detector, place = load(arguments.run), detector_folder(arguments.run)
    catalog = build_catalog(arguments.local, min_classes=1)
    local = read_local(
        with_classes_of(catalog, detector.settings.classes).usable(), place, cache_gb=8.0
    )
    old = LinearRules(Layers(load_head(place)), detector.settings.rules)
    groups = np.unique(local.usable.groups)
    print(f"| patients | subsets | detector | {' | '.join(COLUMNS)} |")
    print("| --- " * (len(COLUMNS) + 3) + "|")
    before = _before(detector, local)
    for size in range(len(groups)):
        subsets = [np.isin(local.usable.groups, each) for each in combinations(groups, size)]
        _show(size, "as it is", subsets, lambda inside: before.take(np.flatnonzero(~inside)))
        for candidate in arguments.candidates.split(",") if size else ():
            _show(size, candidate, subsets, partial(_adapted, candidate, old, local, size))


def _before(detector: Detector, local: LocalData) -> Predictions:
    """Predictions on all slices by the detector as it is."""
    rows, measured = np.arange(len(local.usable)), detector.predict_views(local.views.plain)
    return Predictions.of_detector(local.usable, rows, *measured, detector.settings.rules)


def _adapted(
    candidate: Candidate, old: LinearRules, local: LocalData, patients: int, inside: np.ndarray
) -> Predictions:
    """Predictions on the other patients by what was fitted to those inside."""
    rows, rest = np.flatnonzero(inside), np.flatnonzero(~inside)
    if patients > 1:
        fitted = fit(candidate, old, local, rows)
        distances = fitted.reference.distances(local.ood_features[rest])
    else:
        layers = fit_layers(candidate, old.layers.head, local.slices.take(rows))
        fitted, distances = replace(old, layers=layers), np.zeros(len(rest))
    probabilities = class_probabilities(fitted.layers.logits(local.slices.take(rest)))
    return Predictions.of_detector(local.usable, rest, probabilities, distances, fitted.rules)


def _show(
    patients: int, name: str, subsets: list[np.ndarray], predict: Callable[..., Predictions]
) -> None:
    numbers = np.mean([_numbers(predict(inside)) for inside in subsets], axis=0)
    cells = [f"{mean:.3f}" for mean in numbers]
    print(f"| {patients} | {len(subsets)} | {name} | {' | '.join(cells)} |", flush=True)


def _numbers(predictions: Predictions) -> list[float]:
    found = Evaluation(predictions, None)
    scores, reliability = found.scores.estimates, found.reliability
    return [
        scores["log_loss"].value,
        scores["roc_auc"].value,
        found.levels.same_level_auc.value if found.levels else np.nan,
        reliability.coverage.value,
        reliability.out_of_distribution.value,
        reliability.referred.value,
    ]


if __name__ == "__main__":
    main()
