"""Shortcuts: can the class be told without looking at the brain?

Two probes, each a random forest (Breiman 2001) under leak-free cross-validation: one sees only
facts of the file (size, format, grey of border and whole), the other only what surrounds the
head. Where they do far better than chance, a network can do well for the wrong reason (Geirhos et
al., "Shortcut learning in deep neural networks", 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from falx.data.split import folds_by_group

FOLDS = 5
FAR_ABOVE_CHANCE = 0.65


@dataclass(frozen=True)
class Shortcut:
    """How well a probe tells the classes apart.

    Attributes:
        probe: what it sees.
        auc: area under the ROC curve, out of fold; the mean over classes, one against the rest,
            where there are more than two.
        low, high: 95 % interval (Hanley and McNeil 1982) with groups, not slices, counted.
    """

    probe: str
    auc: float
    low: float
    high: float

    @property
    def alarming(self) -> bool:
        """Whether the whole interval lies far above chance."""
        return self.low > FAR_ABOVE_CHANCE


def probe_shortcuts(
    table: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, *, seed: int = 0
) -> list[Shortcut]:
    """Both probes on the usable rows of a catalog.

    Raises:
        UnusableData: a class has fewer groups than folds.
    """
    return [
        _probe("facts of the file", file_facts(table), labels, groups, seed),
        _probe("what surrounds the head", surroundings(table), labels, groups, seed),
    ]


def file_facts(table: pd.DataFrame) -> np.ndarray:
    """Size, format and overall grey: float (rows, facts)."""
    numbers = table[["width", "height", "bytes", "mean", "spread", "border"]].assign(
        aspect=table["width"] / table["height"],
        bytes_a_pixel=table["bytes"] / (table["width"] * table["height"]),
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
    chances = np.zeros((len(labels), int(labels.max()) + 1))
    for number in range(FOLDS):
        forest = RandomForestClassifier(
            100, min_samples_leaf=3, class_weight="balanced", random_state=seed, n_jobs=-1
        )
        forest.fit(features[fold != number], labels[fold != number])
        chances[fold == number] = forest.predict_proba(features[fold == number])
    auc, error = _auc_with_error(labels, chances, groups)
    return Shortcut(name, auc, max(0.0, auc - 1.96 * error), min(1.0, auc + 1.96 * error))


def _auc_with_error(
    labels: np.ndarray, chances: np.ndarray, groups: np.ndarray
) -> tuple[float, float]:
    """The AUC and its standard error; over several classes, the means of both."""
    codes = [1] if chances.shape[1] == 2 else range(chances.shape[1])
    pairs = []
    for code in codes:
        positive = labels == code
        auc = float(roc_auc_score(positive, chances[:, code]))
        sizes = len(np.unique(groups[positive])), len(np.unique(groups[~positive]))
        pairs.append((auc, _hanley_mcneil(auc, *sizes)))
    aucs, errors = zip(*pairs, strict=True)
    return float(np.mean(aucs)), float(np.mean(errors))


def _hanley_mcneil(auc: float, positives: int, negatives: int) -> float:
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc) + (positives - 1) * (first - auc**2) + (negatives - 1) * (second - auc**2)
    )
    return float(np.sqrt(variance / (positives * negatives)))
