"""Multiple-instance learning: which slices to train on where a label is that of a whole volume.

A volume without a tumor has no slice with one, so its slices are negatives. Of a volume with a
tumor, nobody says which slices show it. They are chosen as in mi-SVM (Andrews, Tsochantaridis and
Hofmann, NIPS 2002), with a logistic regression on features of the untrained trunk: those that are
more likely positive than not, at least the fraction that decides a study, and the choice is
repeated with these as the only positives until it stays. Probabilities are out of fold, by group,
since a model that has seen a slice repeats its label. The others are left out: they may show
anything.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from falx.data.catalog import Catalog
from falx.data.split import Split
from falx.detect.pooling import can_answer
from falx.detect.rules import Rules
from falx.training.trainer import Trainer

logger = logging.getLogger(__name__)

_ROUNDS = 10
_FOLDS = 5
_INVERSE_PENALTY = 0.01


def learnable(
    catalog: Catalog, trainer: Trainer, split: Split, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The training and validation rows of a split that a training can learn from.

    These are all of them where every label is that of its slice.
    """
    seen = np.concatenate([split.train, split.validation])
    table, labels = catalog.table.iloc[seen].reset_index(drop=True), catalog.labels[seen]
    if not (table["weak_label"] & (labels > 0)).any():
        return split.train, split.validation
    fraction = trainer.recipe.top_fraction
    kept = choose_rows(
        table,
        labels,
        trainer.untrained_features(seed=seed)[seen],
        top_fraction=Rules.top_fraction if fraction == "validation" else fraction,
    )
    rows = seen[kept]
    logger.info("%d of %d rows are learned from, by labels of whole volumes", len(rows), len(seen))
    return rows[np.isin(rows, split.train)], rows[np.isin(rows, split.validation)]


def choose_rows(
    table: pd.DataFrame, labels: np.ndarray, features: np.ndarray, *, top_fraction: float
) -> np.ndarray:
    """The rows to train on: all but positives by the label of their volume that seem to be none.

    Args:
        table: rows of a catalog, with weak_label, volume, path, region and group.
        labels: class codes, int (n,); 0 is negative.
        features: of the trunk, float (n, channels).
        top_fraction: of a volume's slices that are kept at least.

    Returns:
        Rows in ascending order, int (kept,).
    """
    weak = table["weak_label"].to_numpy(bool) & (labels > 0)
    kept = np.ones(len(table), bool)
    # A file of several slices whose positions are unknown is a volume too.
    keys = table["volume"].where(table["volume"] != "", table["path"]).to_numpy(dtype=object)
    volumes = [np.flatnonzero(weak & (keys == key)) for key in pd.unique(keys[weak])]
    if not volumes:
        return np.flatnonzero(kept)
    for rows in volumes:
        kept[rows] = can_answer(table["region"].iloc[rows].tolist())
    candidates, groups = kept.copy(), table["group"].to_numpy()
    for _ in range(_ROUNDS):
        probability = _out_of_fold(features, labels > 0, groups, kept)
        chosen = kept.copy()
        for rows in volumes:
            able = rows[candidates[rows]]
            best = able[np.argsort(-probability[able], kind="stable")]
            chosen[able] = probability[able] >= 0.5
            chosen[best[: max(1, round(top_fraction * len(able)))]] = True
        if (chosen == kept).all():
            break
        kept = chosen
    return np.flatnonzero(kept)


def _out_of_fold(
    features: np.ndarray, positive: np.ndarray, groups: np.ndarray, fitted: np.ndarray
) -> np.ndarray:
    """Probability of the positive class of every row, by models fitted to other groups' rows."""
    folds = min(_FOLDS, len(np.unique(groups)))
    probability = np.full(len(features), 0.5)
    # Features come in half precision, in which variances underflow.
    features = features.astype(np.float64)
    for train, test in GroupKFold(folds).split(features, groups=groups):
        rows = train[fitted[train]]
        if len(np.unique(positive[rows])) < 2:
            continue
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=_INVERSE_PENALTY, class_weight="balanced", max_iter=1000),
        )
        model.fit(features[rows], positive[rows])
        probability[test] = model.predict_proba(features[test])[:, 1]
    return probability
