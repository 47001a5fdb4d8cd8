"""Several slices of one study: how to make one answer of them, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from falx.detect.finding import pool
from falx.evaluation.metrics import Scores, score

SHARES = (0.1, 0.25, 0.5, 1.0, 0.0)
"""Candidates, the default first; 0 is the single strongest slice."""


@dataclass(frozen=True)
class Studies:
    """Studies of two slices or more.

    Attributes:
        rows: row numbers of each study.
        labels: class code of each: the commonest among its slices, but the negative class only
            where no slice has another.
    """

    rows: tuple[np.ndarray, ...]
    labels: np.ndarray

    def without(self, left_out: np.ndarray) -> Studies:
        """The same but for some slices, bool (n,), and for studies that had none but these."""
        rows = [each[~left_out[each]] for each in self.rows]
        kept = [number for number, each in enumerate(rows) if len(each)]
        return Studies(tuple(rows[number] for number in kept), self.labels[kept])


def find_studies(table: pd.DataFrame, labels: np.ndarray, *, negative: bool = True) -> Studies:
    """The studies in usable rows of a catalog: equal study, else patient, else file.

    Args:
        labels: class code of each row, int (rows,).
        negative: whether class 0 stands against all others.
    """
    keys = study_keys(table)
    named = np.flatnonzero(keys != "")
    members = [named[keys[named] == key] for key in pd.unique(keys[named])]
    several = tuple(rows for rows in members if len(rows) > 1)
    return Studies(
        several, np.array([_label(labels[rows], negative) for rows in several], np.int64)
    )


def study_keys(table: pd.DataFrame) -> np.ndarray:
    """What each row belongs to, or an empty string: str (rows,)."""
    several = table["path"].duplicated(keep=False)
    file = table["path"].where(several, "")
    patient = table["patient"].where(table["patient"] != "", file)
    return table["study"].where(table["study"] != "", patient).to_numpy(dtype=object)


def choose_share(studies: Studies, probabilities: np.ndarray, *, negative: bool = True) -> float:
    """The share of strongest slices whose mean tells the studies apart best.

    By log loss on the studies given (validation); the first of `SHARES` where there are too few
    to tell: fewer than ten, or none of some class. Where no class is negative there is nothing
    that slices of a study could be ranked against, and the mean of all is taken.

    Args:
        probabilities: float (rows, classes) of the rows that `studies` counts in.
    """
    classes = probabilities.shape[1]
    if not negative:
        return 1.0
    if len(studies.rows) < 10 or len(np.unique(studies.labels)) < classes:
        return SHARES[0]
    losses = [
        log_loss(studies.labels, pooled(studies, probabilities, share), labels=range(classes))
        for share in SHARES
    ]
    return SHARES[int(np.argmin(losses))]


def pooled(studies: Studies, probabilities: np.ndarray, share: float) -> np.ndarray:
    """Class probabilities of each study: float (studies, classes)."""
    return np.stack([pool(probabilities[rows], share) for rows in studies.rows])


def score_studies(
    studies: Studies,
    probabilities: np.ndarray,
    groups: np.ndarray,
    *,
    share: float,
    threshold: float,
    classes: tuple[str, ...],
    foreign: np.ndarray,
) -> dict[str, Any] | None:
    """Scores a study, ready for JSON, or None where no study has an answer.

    Each is answered as falx.detect.finding.study_findings does: foreign slices are left out of it,
    and a study of such slices alone is refused and not scored.

    Args:
        foreign: which slices are, bool (n,).
    """
    answered = studies.without(foreign)
    if not answered.rows:
        return None
    first = np.array([groups[rows[0]] for rows in answered.rows])
    scores: Scores = score(
        answered.labels, pooled(answered, probabilities, share), first, classes, threshold=threshold
    )
    refused = len(studies.rows) - len(answered.rows)
    return {"share": share, "refused": refused, **scores.as_dict()}


def _label(labels: np.ndarray, negative: bool) -> int:
    positive = labels[labels > 0] if negative else labels
    return int(np.bincount(positive).argmax()) if len(positive) else 0
