"""Studies: how the answers for their slices become one, and what that is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx.data.class_names import has_negative
from falx.data.placing import rows_of
from falx.detect.finding import Finding
from falx.detect.pooling import SeriesHeader, series_finding, study_finding
from falx.detect.rules import Rules
from falx.evaluation.metrics import Scores, score_repeats
from falx.evaluation.predictions import Predictions

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


@dataclass(frozen=True)
class StudyScores:
    """What answers for studies are worth.

    Attributes:
        top_fraction: of a study's slices, those most likely to show a tumor, whose mean probability
            is the study's; 0 is the single most likely one. None where the folds of a
            cross-validation chose different ones.
        n_out_of_distribution: studies rejected, since most of the slices that could hold an answer
            were; in a repeated cross-validation, in at least one repeat.
        n_referred: of the others, those that a person should read, in at least one repeat; all of
            them where the detector was not calibrated on studies.
        scores: of all but those rejected; NaN where undefined, such as the AUC of studies of one
            class.
    """

    top_fraction: float | None
    n_out_of_distribution: int
    n_referred: int
    scores: Scores

    def as_dict(self) -> dict[str, Any]:
        """The scores, flat, with what they rest on."""
        return {
            "top_fraction": self.top_fraction,
            "out_of_distribution": self.n_out_of_distribution,
            "referred": self.n_referred,
            **self.scores.as_dict(),
        }


def find_studies(table: pd.DataFrame, labels: np.ndarray, *, negative: bool = True) -> Studies:
    """The studies among usable rows of a catalog: rows with the same key of `study_keys`.

    Args:
        labels: class code of each row, int (rows,).
        negative: whether class 0 stands against all others.
    """
    several = tuple(rows for rows in rows_of(study_keys(table)) if len(rows) > 1)
    return Studies(
        several, np.array([_label(labels[rows], negative) for rows in several], np.int64)
    )


def study_keys(table: pd.DataFrame) -> np.ndarray:
    """The study of each row, else its volume, patient or file, or an empty string: str (rows,)."""
    several = table["path"].duplicated(keep=False)
    file = table["path"].where(several, "")
    patient = table["patient"].where(table["patient"] != "", file)
    volume = table["volume"].where(table["volume"] != "", patient)
    return table["study"].where(table["study"] != "", volume).to_numpy(dtype=object)


def pooled_studies(predictions: Predictions, studies: Studies, top_fraction: float) -> np.ndarray:
    """Pooled class probabilities of each study before any calibration of studies.

    Args:
        predictions: of one detector, in one repeat.
        top_fraction: of a study's slices that decide.

    Returns:
        float (studies, classes); NaN for a study without a suitable series.
    """
    rules = replace(predictions.rules[0][0], top_fraction=top_fraction, study=None)
    pooled = np.full((len(studies.rows), len(predictions.classes)), np.nan)
    for number, rows in enumerate(studies.rows):
        answer = _answer(predictions, 0, rows, rules)
        if answer:
            pooled[number] = answer.probabilities
    return pooled


def score_studies(predictions: Predictions) -> StudyScores | None:
    """Scores by study, or None where no study has an answer.

    Each is answered as a detector does (see falx.detect.pooling), by the rules of the fold that it
    is in: all slices of a study are of one group, and so of one fold. A study that has no suitable
    series in one of the repeats is rejected and not scored. Intervals are over groups and repeats.
    """
    found = predictions
    studies = find_studies(found.table, found.labels, negative=has_negative(found.classes))
    answers = [
        [_answer(found, repeat, rows, _rules_of(found, repeat, rows)) for rows in studies.rows]
        for repeat in range(found.repeats)
    ]
    kept = [number for number, each in enumerate(zip(*answers, strict=True)) if all(each)]
    if not kept:
        return None
    answered = [[each for number in kept if (each := of[number])] for of in answers]
    scores = score_repeats(
        studies.labels[kept],
        [np.array([each.probabilities for each in of_repeat]) for of_repeat in answered],
        found.groups[[studies.rows[number][0] for number in kept]],
        found.classes,
        threshold=[np.array([each.threshold for each in of_repeat]) for of_repeat in answered],
    )
    fractions = {each.top_fraction for of_repeat in answered for each in of_repeat}
    of_study = zip(*answered, strict=True)
    return StudyScores(
        top_fraction=fractions.pop() if len(fractions) == 1 else None,
        n_out_of_distribution=len(studies.rows) - len(kept),
        n_referred=sum(not all(each.is_answered for each in repeats) for repeats in of_study),
        scores=scores,
    )


@dataclass(frozen=True, eq=False)
class _Answer:
    """Class probabilities of a study, (classes,), and the rules that they are read by."""

    probabilities: list[float]
    threshold: float
    top_fraction: float
    is_answered: bool


def _rules_of(predictions: Predictions, repeat: int, rows: np.ndarray) -> Rules:
    """The rules of the fold that a study's rows are in."""
    return predictions.rules[repeat][predictions.folds[repeat, rows[0]] - 1]


def _answer(
    predictions: Predictions, repeat: int, rows: np.ndarray, rules: Rules
) -> _Answer | None:
    """A detector's answer for the study of some rows; None where no series is suitable."""
    columns = ["path", "series", "volume", "plane", "contrast", "region"]
    members: dict[SeriesHeader, list[Finding]] = {}
    of_study = predictions.table.iloc[rows][columns].itertuples(index=False)
    for row, (path, series, volume, plane, contrast, region) in zip(rows, of_study, strict=True):
        name = series or volume
        header = SeriesHeader(name, name, plane, bool(contrast))
        probabilities = predictions.probabilities[repeat, row].tolist()
        members.setdefault(header, []).append(
            Finding(
                path=Path(path),
                index=int(row),
                status=predictions.statuses[repeat, row],
                distance=float(predictions.distances[repeat, row]),
                region=region,
                probabilities=dict(zip(predictions.classes, probabilities, strict=True)),
            )
        )
    answers = [series_finding(*each, predictions.classes, rules) for each in members.items()]
    chosen = study_finding("", answers).chosen
    if chosen is None:
        return None
    by = rules.study if rules.study and len(predictions.classes) == 2 else rules
    return _Answer(
        [chosen.probabilities[name] for name in predictions.classes],
        by.threshold,
        rules.top_fraction,
        chosen.status == "answer",
    )


def _label(labels: np.ndarray, negative: bool) -> int:
    positive = labels[labels > 0] if negative else labels
    return int(np.bincount(positive).argmax()) if len(positive) else 0
