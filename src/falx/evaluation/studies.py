"""Studies: how the answers for their slices become one, and what that is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from falx.detect.finding import pool
from falx.detect.rules import Rules
from falx.evaluation.metrics import Scores, score

TOP_FRACTIONS = (0.1, 0.25, 0.5, 1.0, 0.0)
"""Candidates, the default first; 0 is the single most likely slice."""


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


@dataclass(frozen=True)
class StudyScores:
    """What answers for studies are worth.

    Attributes:
        top_fraction: of a study's slices, those most likely to show a tumor, whose mean probability
            is the study's; 0 is the single most likely one.
        n_out_of_distribution: studies rejected, since all their slices were.
        scores: of the others.
    """

    top_fraction: float
    n_out_of_distribution: int
    scores: Scores

    def as_dict(self) -> dict[str, Any]:
        """The scores, flat, with what they rest on."""
        return {
            "top_fraction": self.top_fraction,
            "out_of_distribution": self.n_out_of_distribution,
            **self.scores.as_dict(),
        }


def find_studies(table: pd.DataFrame, labels: np.ndarray, *, negative: bool = True) -> Studies:
    """The studies among usable rows of a catalog: rows of one study, else patient, else file.

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
    """The study, patient or file of each row, or an empty string: str (rows,)."""
    several = table["path"].duplicated(keep=False)
    file = table["path"].where(several, "")
    patient = table["patient"].where(table["patient"] != "", file)
    return table["study"].where(table["study"] != "", patient).to_numpy(dtype=object)


def choose_top_fraction(
    studies: Studies, probabilities: np.ndarray, *, negative: bool = True
) -> float:
    """The fraction of most likely slices whose mean probability separates the studies best.

    By log loss on the studies of the validation part; the first of `TOP_FRACTIONS` where these are
    too few to decide: fewer than ten, or none of some class. Where no class is negative, slices of
    a study can't be ranked, and the mean of all is taken.

    Args:
        probabilities: float (rows, classes) of the rows that `studies` counts in.
    """
    classes = probabilities.shape[1]
    if not negative:
        return 1.0
    if len(studies.rows) < 10 or len(np.unique(studies.labels)) < classes:
        return TOP_FRACTIONS[0]
    losses = [
        log_loss(studies.labels, pooled(studies, probabilities, fraction), labels=range(classes))
        for fraction in TOP_FRACTIONS
    ]
    return TOP_FRACTIONS[int(np.argmin(losses))]


def pooled(studies: Studies, probabilities: np.ndarray, top_fraction: float) -> np.ndarray:
    """Class probabilities of each study: float (studies, classes)."""
    return np.stack([pool(probabilities[rows], top_fraction) for rows in studies.rows])


def score_studies(
    studies: Studies,
    probabilities: np.ndarray,
    groups: np.ndarray,
    rules: Rules,
    classes: tuple[str, ...],
    *,
    out_of_distribution: np.ndarray,
) -> StudyScores | None:
    """Scores by study, or None where no study has an answer.

    Each is answered as falx.detect.finding.study_findings does: out-of-distribution slices are left
    out, and a study of such slices alone is rejected and not scored.

    Args:
        probabilities: calibrated, float (n, classes).
        groups: of the slices, int (n,).
        rules: of the detector.
        out_of_distribution: which slices are, bool (n,).
    """
    answered = studies.without(out_of_distribution)
    if not answered.rows:
        return None
    scores = score(
        answered.labels,
        pooled(answered, probabilities, rules.top_fraction),
        np.array([groups[rows[0]] for rows in answered.rows]),
        classes,
        threshold=rules.threshold,
    )
    return StudyScores(rules.top_fraction, len(studies.rows) - len(answered.rows), scores)


def _label(labels: np.ndarray, negative: bool) -> int:
    positive = labels[labels > 0] if negative else labels
    return int(np.bincount(positive).argmax()) if len(positive) else 0
