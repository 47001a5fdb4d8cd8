"""What a recipe is worth whose settings are chosen in an inner loop, never on the slices tested.

python benchmarks/nested.py DATA --choose SETTINGS... [--recipe best] [--repeats 2]

SETTINGS are FIELD=VALUE as for --set, and weights=FILE, joined by commas. In each outer fold, a
cross-validation of the other folds' slices chooses the settings of the highest AUC; these are then
trained as falx crossval trains them, and tested on the fold (nested cross-validation; Varma and
Simon, BMC Bioinformatics 7, 2006). Prints the scores of what was chosen, how often each settings
were, and the scores of always taking one of them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from falx.console import progress
from falx.data.catalog import Catalog, build_catalog
from falx.data.split import fold_splits, folds_by_group
from falx.evaluation.metrics import score_repeats
from falx.model.weights import find_weights
from falx.recipe import load_recipe
from falx.training.fit import Trainer
from falx.training.setup import Setup

FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--choose", nargs="+", required=True)
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    usable = build_catalog(given.data).usable()
    inner, outer = [], []
    for settings in given.choose:
        changes = dict(each.split("=", 1) for each in settings.split(","))
        start = changes.pop("weights", "imagenet")
        recipe = load_recipe(given.recipe).changed(changes)
        weights = find_weights(start, recipe.backbone)
        with progress(narrated=True) as listener:
            trainer = Setup(usable, recipe, weights.file, "fp32", 8.0).trainer(listener)
            trainer.prepare(np.arange(len(usable)), seed=0)
        found = [one_repeat(trainer, usable, repeat) for repeat in range(given.repeats)]
        inner.append([aucs for aucs, _ in found])
        outer.append([probabilities for _, probabilities in found])
    tell(usable, given.choose, np.array(inner), np.array(outer))


def one_repeat(trainer: Trainer, usable: Catalog, seed: int) -> tuple[list[float], np.ndarray]:
    """The AUC of the inner loop of each outer fold, and all slices' probabilities out of fold."""
    labels, groups = usable.labels, usable.groups
    aucs, probabilities = [], np.zeros((len(labels), 2))
    for split in fold_splits(labels, groups, folds=FOLDS, seed=seed):
        rows = np.sort(np.concatenate([split.train, split.validation]))
        folds = folds_by_group(labels[rows], groups[rows], folds=FOLDS, seed=seed)
        chances = np.zeros(len(rows))
        for fold in range(FOLDS):
            # The next fold chooses weights, where the recipe lets it.
            tested, chooses = folds == fold, folds == (fold + 1) % FOLDS
            trainer.train(rows[~tested & ~chooses], rows[chooses], seed=seed)
            chances[tested] = trainer.probabilities(rows[tested])[:, 1]
        aucs.append(float(roc_auc_score(labels[rows], chances)))
        trainer.train(split.train, split.validation, seed=seed)
        probabilities[split.test] = trainer.probabilities(split.test)
    return aucs, probabilities


def tell(usable: Catalog, settings: list[str], inner: np.ndarray, outer: np.ndarray) -> None:
    """Print what choosing gives, and what each of the settings does.

    Args:
        inner: AUC (settings, repeats, folds).
        outer: probabilities (settings, repeats, n, 2).
    """
    labels, groups = usable.labels, usable.groups
    best, chosen = inner.argmax(axis=0), np.zeros(outer.shape[1:])
    for repeat, picks in enumerate(best):
        splits = fold_splits(labels, groups, folds=FOLDS, seed=repeat)
        for split, pick in zip(splits, picks, strict=True):
            chosen[repeat, split.test] = outer[pick, repeat, split.test]
    counts = Counter(best.ravel().tolist())
    rows = [("chosen in the inner loop", chosen)]
    rows += [
        (f"{name}, chosen {counts[code]} of {best.size} times", outer[code])
        for code, name in enumerate(settings)
    ]
    for name, given in rows:
        found = score_repeats(labels, list(given), groups, usable.classes).estimates
        print(f"{name}: accuracy {found['accuracy']}, AUC {found['roc_auc']}")


if __name__ == "__main__":
    main()
