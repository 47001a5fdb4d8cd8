"""Shortcuts: can the class be predicted without the brain?

Two probes, each a random forest (Breiman 2001) under leak-free cross-validation: one sees only
properties of the file (size, format, gray level of the border and of the slice), the other only
the background outside the head. If one does far better than chance, a network can do well for the
wrong reason (Geirhos et al., "Shortcut learning in deep neural networks", 2020).
"""

from __future__ import annotations

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
FAR_ABOVE_CHANCE = 0.65


@dataclass(frozen=True)
class Shortcut:
    """How well a probe distinguishes the classes.

    Attributes:
        probe: what it sees.
        auc: area under the ROC curve, out of fold; of more than two classes, the mean of one
            versus rest.
        low, high: 95 % confidence interval, bootstrapped over groups.
    """

    probe: str
    auc: float
    low: float
    high: float

    @property
    def alarming(self) -> bool:
        """Whether the whole confidence interval lies far above chance."""
        return self.low > FAR_ABOVE_CHANCE


def probe_shortcuts(
    table: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, *, seed: int = 0
) -> list[Shortcut]:
    """Both probes on the usable rows of a catalog.

    Raises:
        UnusableData: a class has fewer groups than folds.
    """
    return [
        _probe("file properties", file_properties(table), labels, groups, seed),
        _probe("the background outside the head", surroundings(table), labels, groups, seed),
    ]


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


def _probe(
    name: str, features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int
) -> Shortcut:
    fold = folds_by_group(labels, groups, folds=FOLDS, seed=seed)
    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    for number in range(FOLDS):
        forest = RandomForestClassifier(
            100, min_samples_leaf=3, class_weight="balanced", random_state=seed, n_jobs=-1
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
    trials = min(len(np.unique(groups[labels == code])) for code in classes)
    return percentile_interval(value, np.concatenate(replicates)) or proportion_interval(
        value, trials
    )
