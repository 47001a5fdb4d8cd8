"""Shortcuts: can the class be predicted without the brain?

Probes, each a random forest (Breiman 2001) under leak-free cross-validation: one sees only
properties of the file (size, format, gray level of the border and of the slice), another only the
background outside the head. If one does far better than chance, a network can do well for the
wrong reason (Geirhos et al., "Shortcut learning in deep neural networks", 2020).

In volumes, a third sees only the level of the slice. It is no defect of the files: tumors lie in
the brain, and so in the middle of a volume. It tells how much of an AUC over all levels a detector
could reach without looking (see falx.evaluation.levels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from falx.data.split import folds_by_group
from falx.statistics import (
    Estimate,
    RankedScores,
    bootstrap_groups,
    percentile_interval,
    proportion_interval,
    ranking_metrics,
)

FOLDS = 5
MIN_FOLDS = 2
FAR_ABOVE_CHANCE = 0.65
LEVEL_PROBE = "the level in the volume"


@dataclass(frozen=True)
class Shortcut:
    """How well a probe distinguishes the classes.

    Attributes:
        probe: what it sees.
        auc: area under the ROC curve, out of fold; of more than two classes, the mean of one
            versus rest.
        low, high: 95 % confidence interval, bootstrapped over groups; NaN where they are too few.
    """

    probe: str
    auc: float
    low: float
    high: float

    @property
    def is_level(self) -> bool:
        """Whether anatomy explains it: the probe sees where in a volume a slice lies."""
        return self.probe == LEVEL_PROBE

    @property
    def alarming(self) -> bool:
        """Whether the whole confidence interval lies far above chance, and anatomy is no reason."""
        return self.low > FAR_ABOVE_CHANCE and not self.is_level

    @property
    def unsettled(self) -> bool:
        """Whether it may be alarming, and groups are too few to tell."""
        return math.isnan(self.low) and self.auc > FAR_ABOVE_CHANCE and not self.is_level


def probe_shortcuts(
    table: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, *, classes: int, seed: int = 0
) -> list[Shortcut]:
    """All probes on the usable rows of a catalog; none where a class has fewer than two groups.

    Args:
        labels: class code of each row, int (rows,).
        groups: of each row, int (rows,).
        classes: how many there are.
    """
    probes = {
        "file properties": file_properties(table),
        "the background outside the head": surroundings(table),
        LEVEL_PROBE: table[["level"]].to_numpy(float),
    }
    found = []
    for name, features in probes.items():
        # Slices that are not of a volume have no level.
        rows = np.flatnonzero(np.isfinite(features).all(axis=1))
        folds = _folds(labels[rows], groups[rows], classes)
        if folds >= MIN_FOLDS:
            found.append(_probe(name, features[rows], labels[rows], groups[rows], folds, seed))
    return found


def file_properties(table: pd.DataFrame) -> np.ndarray:
    """Size, format and overall gray level: float (rows, properties)."""
    numbers = table[["width", "height", "bytes", "mean", "standard_deviation", "border"]].assign(
        aspect=table["width"] / table["height"],
        bytes_per_pixel=table["bytes"] / (table["width"] * table["height"]),
        color=table["color"].astype(float),
    )
    return pd.concat([numbers, pd.get_dummies(table["format"])], axis=1).to_numpy(float)


def surroundings(table: pd.DataFrame) -> np.ndarray:
    """The slice without the head's box: float (rows, 256)."""
    return np.array(table["surroundings"].tolist(), float)


def _folds(labels: np.ndarray, groups: np.ndarray, classes: int) -> int:
    """As many as there are groups of every class, at most `FOLDS`."""
    return min(FOLDS, *(len(np.unique(groups[labels == code])) for code in range(classes)))


def _probe(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    folds: int,
    seed: int,
) -> Shortcut:
    fold = folds_by_group(labels, groups, folds=folds, seed=seed)
    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    for number in range(folds):
        forest = RandomForestClassifier(
            100, min_samples_leaf=3, class_weight="balanced", random_state=seed
        )
        forest.fit(features[fold != number], labels[fold != number])
        probabilities[fold == number] = forest.predict_proba(features[fold == number])
    auc = _auc_interval(labels, probabilities, groups, seed)
    return Shortcut(name, auc.value, auc.low, auc.high)


def _auc_interval(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, seed: int
) -> Estimate:
    """The AUC, of several classes the mean of each against the rest.

    The forests are not trained again: the interval is that of the out-of-fold probabilities.
    """
    classes = range(probabilities.shape[1])
    codes = np.unique(groups, return_inverse=True)[1]
    rankings = [
        RankedScores.of(probabilities[:, positive], labels == positive)
        for positive in (classes[1:] if len(classes) == 2 else classes)
    ]

    def aucs(weights: np.ndarray) -> np.ndarray:
        each = [ranking_metrics(ranked, weights)[0] for ranked in rankings]
        mean: np.ndarray = np.mean(each, axis=0)
        return mean

    value = float(aucs(np.ones((1, len(labels))))[0])
    replicates = [
        aucs(times[:, codes].astype(float))
        for times in bootstrap_groups(int(codes.max()) + 1, seed=seed, columns=len(labels))
    ]
    # Each pair of a positive and a negative group counts as one trial, each group used once.
    fewest = min(len(np.unique(groups[labels == code])) for code in classes)
    return percentile_interval(value, np.concatenate(replicates), fewest) or proportion_interval(
        value, fewest
    )
