"""Out-of-fold robustness of recipes with a linear head: corrupted slices that no fold trained on.

    python benchmarks/robustness.py DATA [--recipe best] [--weights WEIGHTS] [--set FIELD=VALUE...]
        [--repeats 3] [--corruptions NAME...] [--strengths 1 2]

Each slice, as its file holds it, is corrupted as `falx evaluate --robustness` does, and predicted
by the heads of a leak-free cross-validation that never saw it or its group. Prints, for each
corruption and strength, how much the AUC and the fraction rejected as out-of-distribution change,
means over repeats. Features are computed once for each slice and corruption, and cached.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from falx.cli.terminal import progress
from falx.data.catalog import Catalog, build_catalog
from falx.evaluation.calibration import calibrate
from falx.evaluation.robustness import corrupted_views
from falx.exporting.direct import LinearHead
from falx.image.corruptions import CORRUPTIONS
from falx.model.reference import MahalanobisReference
from falx.model.weights import find_weights
from falx.progress import Listener
from falx.recipe import load_recipe
from falx.training.folds import Fold, make_folds
from falx.training.linear import LinearTrainer, fits_linear_head
from falx.training.ood import fit_mahalanobis, fit_ood_threshold
from falx.training.setup import TrainingSetup, open_cache
from falx.training.views import CORRUPTED, Views, plain_digest

FOLDS = 5
AUC_BOUNDS, REJECTED_BOUNDS = {1: 0.01, 2: 0.03}, {1: 0.03, 2: 0.10}
"""By strength: largest loss of AUC, and largest rise of the fraction rejected."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A fold, its head of calibrated logits, and its out-of-distribution detection."""

    fold: Fold
    head: LinearHead
    temperature: float
    reference: MahalanobisReference
    ood_threshold: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--weights")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--corruptions", nargs="*", default=list(CORRUPTIONS))
    parser.add_argument("--strengths", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe).changed(
        dict(each.split("=", 1) for each in arguments.set)
    )
    weights = find_weights(arguments.weights or recipe.backbone.weights, recipe.backbone).file
    if weights is None or not fits_linear_head(recipe, weights):
        sys.exit(f"Recipe '{recipe.name}' fits no linear head; name one that does.")
    usable = build_catalog(arguments.data).usable()
    variants = [("none", 0)] + [
        (name, strength)
        for name in arguments.corruptions
        for strength in arguments.strengths
        if strength <= len(CORRUPTIONS[name].amounts)
    ]
    with progress(narrated=True) as listener:
        trainer = TrainingSetup(usable, recipe, weights, "fp32", 8.0).trainer(listener)
        assert isinstance(trainer, LinearTrainer)
        trained = train(trainer, usable, arguments.repeats)
        views = render_variants(usable, trainer, variants, listener)
        scores = [
            score(with_views(trainer, usable, each, weights, f"{variant}", listener), trained)
            for variant, each in zip(variants, views, strict=True)
        ]
    print_scores(variants, np.array(scores))


def train(trainer: LinearTrainer, usable: Catalog, repeats: int) -> list[Trained]:
    """The heads of all folds."""
    rows = np.arange(len(usable))
    trainer.prepare(rows, seed=0)
    plain, corrupted = trainer.ood_features(rows), trainer.ood_features(rows, CORRUPTED)
    trained = []
    for fold in make_folds(usable, folds=FOLDS, repeats=repeats, seed=0):
        split = fold.split
        seen = np.concatenate([split.train, split.validation])
        trainer.train(split.train, split.validation, seed=fold.seed)
        rules = calibrate(
            trainer.probabilities(split.validation), usable.labels[split.validation],
            usable.classes, operating_point="0.5", alpha=0.1,
        )  # fmt: skip
        threshold = fit_ood_threshold(plain[seen], corrupted[seen], usable.groups[seen])
        reference = fit_mahalanobis(np.concatenate([plain[seen], corrupted[seen]]))
        trained.append(
            Trained(
                fold, trainer.head, rules.temperature, reference,
                np.inf if threshold is None else threshold,
            )
        )  # fmt: skip
    return trained


def render_variants(
    usable: Catalog, trainer: LinearTrainer, variants: list[tuple[str, int]], listener: Listener
) -> np.ndarray:
    """All slices in all variants: uint8 (variants, n, size, size)."""
    rows = np.argsort(usable.table["path"].to_numpy(), kind="stable")
    rendering = trainer.recipe.rendering
    chunks = list(corrupted_views(usable, rows, variants, rendering, listener=listener))
    views = np.concatenate(chunks).reshape(len(rows), len(variants), *trainer.views.plain.shape[1:])
    result = np.empty_like(views)
    result[rows] = views
    return result.swapaxes(0, 1)


def with_views(
    trainer: LinearTrainer,
    usable: Catalog,
    pixels: np.ndarray,
    weights: Path,
    name: str,
    listener: Listener,
) -> LinearTrainer:
    """A trainer whose plain views are others, for their features."""
    digest = f"{plain_digest(usable, trainer.recipe.rendering)} {name}"
    views = Views(pixels, trainer.views.content_ids, trainer.recipe.augmentation, digest)
    return LinearTrainer(
        trainer.recipe, views, usable.labels, len(usable.classes), usable.sources,
        weights=weights, cache=open_cache(8.0), listener=listener,
    )  # fmt: skip


def score(corrupted: LinearTrainer, trained: list[Trained]) -> tuple[float, float]:
    """Mean over repeats of the AUC, and of the fraction rejected."""
    rows = np.arange(len(corrupted.views))
    pooled, features = corrupted.pooled_features(rows), corrupted.ood_features(rows)
    repeats = trained[-1].fold.repeat
    logits, rejected = np.zeros((repeats, len(rows))), np.zeros((repeats, len(rows)))
    for each in trained:
        test, repeat = each.fold.split.test, each.fold.repeat - 1
        raw = pooled[test] @ each.head.kernel + each.head.bias
        logits[repeat, test] = raw[:, 0] / each.temperature
        rejected[repeat, test] = each.reference.distances(features[test]) > each.ood_threshold
    areas = [roc_auc_score(corrupted.labels, each) for each in logits]
    return float(np.mean(areas)), float(rejected.mean())


def print_scores(variants: list[tuple[str, int]], scores: np.ndarray) -> None:
    """A table of differences from the slices as they are; bounds that are missed are marked."""
    (area, rejected), changes = scores[0], scores - scores[0]
    print(f"uncorrupted: AUC {area:.3f}, rejected {rejected:.1%}\n")
    print("| corruption, strength | AUC, difference | rejected, difference |\n| --- | --- | --- |")
    for (name, strength), (lost, risen) in zip(variants[1:], changes[1:], strict=True):
        lost_mark = " (missed)" if -lost > AUC_BOUNDS.get(strength, np.inf) else ""
        risen_mark = " (missed)" if risen > REJECTED_BOUNDS.get(strength, np.inf) else ""
        print(f"| {name}, {strength} | {lost:+.3f}{lost_mark} | {risen:+.1%}{risen_mark} |")


if __name__ == "__main__":
    main()
