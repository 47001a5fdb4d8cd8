"""What a recipe is worth whose settings are chosen in an inner loop, never on the test slices.

    python benchmarks/nested.py DATA --choose SETTINGS... [--recipe best] [--repeats 2]

SETTINGS are FIELD=VALUE as for --set, and weights=FILE, joined by commas. In each outer fold, a
cross-validation on the slices of the other folds selects the settings with the highest AUC; these
are then trained as falx crossval trains them, and tested on the fold (nested cross-validation;
Varma and Simon, BMC Bioinformatics 7, 2006). Prints the scores of this selection, how often each
settings were selected, and the scores of always using one of them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from falx.cli.terminal import progress
from falx.data.catalog import Catalog, build_catalog
from falx.data.split import fold_splits, folds_by_group
from falx.evaluation.metrics import score_repeats
from falx.model.weights import find_weights
from falx.recipe import load_recipe
from falx.training.setup import TrainingSetup
from falx.training.trainer import Trainer

FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--choose", nargs="+", required=True)
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    usable = build_catalog(arguments.data).usable()
    inner, outer = [], []
    for settings in arguments.choose:
        changes = dict(each.split("=", 1) for each in settings.split(","))
        start = changes.pop("weights", "imagenet")
        recipe = load_recipe(arguments.recipe).changed(changes)
        weights = find_weights(start, recipe.backbone)
        with progress(narrated=True) as listener:
            trainer = TrainingSetup(usable, recipe, weights.file, "fp32", 8.0).trainer(listener)
            trainer.prepare(np.arange(len(usable)), seed=0)
        repeats = [cross_validate(trainer, usable, seed) for seed in range(arguments.repeats)]
        inner.append([aucs for aucs, _ in repeats])
        outer.append([probabilities for _, probabilities in repeats])
    print_scores(usable, arguments.choose, np.array(inner), np.array(outer))


def cross_validate(trainer: Trainer, usable: Catalog, seed: int) -> tuple[list[float], np.ndarray]:
    """One repeat of one choice of settings.

    Returns:
        The AUC of the inner loop of each outer fold, and out-of-fold probabilities, float (n, 2).
    """
    labels, groups = usable.labels, usable.groups
    aucs, probabilities = [], np.zeros((len(labels), 2))
    for split in fold_splits(labels, groups, folds=FOLDS, seed=seed):
        rows = np.sort(np.concatenate([split.train, split.validation]))
        folds = folds_by_group(labels[rows], groups[rows], folds=FOLDS, seed=seed)
        inner = np.zeros(len(rows))
        for fold in range(FOLDS):
            # The next fold is the validation part, in case the recipe keeps the best epoch.
            test, validation = folds == fold, folds == (fold + 1) % FOLDS
            trainer.train(rows[~test & ~validation], rows[validation], seed=seed)
            inner[test] = trainer.probabilities(rows[test])[:, 1]
        aucs.append(float(roc_auc_score(labels[rows], inner)))
        trainer.train(split.train, split.validation, seed=seed)
        probabilities[split.test] = trainer.probabilities(split.test)
    return aucs, probabilities


def print_scores(
    usable: Catalog, settings: list[str], inner: np.ndarray, outer: np.ndarray
) -> None:
    """Print what the selection scores, and what each of the settings does.

    Args:
        inner: AUC (settings, repeats, folds).
        outer: probabilities (settings, repeats, n, 2).
    """
    labels, groups = usable.labels, usable.groups
    best, selected = inner.argmax(axis=0), np.zeros(outer.shape[1:])
    for repeat, codes in enumerate(best):
        splits = fold_splits(labels, groups, folds=FOLDS, seed=repeat)
        for split, code in zip(splits, codes, strict=True):
            selected[repeat, split.test] = outer[code, repeat, split.test]
    counts = Counter(best.ravel().tolist())
    rows = [("selected in the inner loop", selected)]
    rows += [
        (f"{name}, selected {counts[code]} of {best.size} times", outer[code])
        for code, name in enumerate(settings)
    ]
    for name, probabilities in rows:
        found = score_repeats(labels, list(probabilities), groups, usable.classes).estimates
        print(f"{name}: accuracy {found['accuracy']}, AUC {found['roc_auc']}")


if __name__ == "__main__":
    main()
