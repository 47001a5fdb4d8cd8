"""What a few labeled patients of a place are worth: `python learning_curve.py RUN LOCAL`.

For every number of patients from 2 up, every subset of so many adapts the detector by its rules
(see falx.runs.adaptation.fit), whether that is significant or not, and the other patients test it
beside the detector as it is. Prints a table of means over subsets; docs/adapt.md holds one.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np

from falx.data.catalog import build_catalog
from falx.detect.detector import NETWORK_FILE, detector_folder, load
from falx.detect.finding import class_probabilities
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.predictions import Predictions
from falx.exporting.linear_detector import RECIPE_FILE, load_head
from falx.recipe import load_recipe
from falx.runs.adaptation import LinearRules, LocalData, fit
from falx.training.adaptation import logits_of
from falx.training.linear import LinearTrainer
from falx.training.setup import open_cache
from falx.training.views import CORRUPTED, render_views

COLUMNS = ("log loss", "AUC", "AUC at the same level", "coverage", "OOD rate", "referred")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("local", type=Path)
    arguments = parser.parse_args()
    detector, place = load(arguments.run), detector_folder(arguments.run)
    classes = detector.settings.classes
    usable = build_catalog(arguments.local, min_classes=1).usable()
    # Classes of both are in order: without a tumor first.
    usable = type(usable)(
        usable.root,
        classes,
        usable.table.assign(
            label=usable.table["label"].map(dict(zip(usable.classes, classes, strict=True)))
        ),
    )
    recipe, cache = load_recipe(place / RECIPE_FILE), open_cache(8.0)
    views = render_views(usable, recipe.rendering, cache, recipe.augmentation)
    trainer = LinearTrainer(
        recipe, views, usable.labels, len(classes), usable.sources,
        weights=place / NETWORK_FILE, cache=cache,
    )  # fmt: skip
    rows = np.arange(len(usable))
    local = LocalData(
        usable,
        trainer.pooled_features(rows),
        trainer.ood_features(rows),
        trainer.ood_features(rows, CORRUPTED),
    )
    old = LinearRules(load_head(place), detector.settings.rules)
    before = Predictions.of_detector(
        usable, rows, *detector.predict_views(views.plain), detector.settings.rules
    )
    groups = np.unique(usable.groups)
    print(f"| patients | subsets | detector | {' | '.join(COLUMNS)} |")
    print("| --- " * (len(COLUMNS) + 3) + "|")
    _show(0, 1, "as it is", [_numbers(before)])
    for size in range(2, len(groups)):
        subsets = [np.isin(usable.groups, chosen) for chosen in combinations(groups, size)]
        tested = [np.flatnonzero(~inside) for inside in subsets]
        _show(size, len(subsets), "as it is", [_numbers(before.take(rest)) for rest in tested])
        after = [_numbers(_adapted(old, local, inside)) for inside in subsets]
        _show(size, len(subsets), "adapted", after)


def _adapted(old: LinearRules, local: LocalData, inside: np.ndarray) -> Predictions:
    """Predictions on the other patients by rules fitted to those inside."""
    rest = np.flatnonzero(~inside)
    fitted = fit("rules", old, local, np.flatnonzero(inside))
    probabilities = class_probabilities(logits_of(fitted.head, local.pooled[rest]))
    distances = fitted.reference.distances(local.ood_features[rest])
    return Predictions.of_detector(local.usable, rest, probabilities, distances, fitted.rules)


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


def _show(patients: int, subsets: int, name: str, numbers: list[list[float]]) -> None:
    cells = [f"{mean:.3f}" for mean in np.mean(numbers, axis=0)]
    print(f"| {patients} | {subsets} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
