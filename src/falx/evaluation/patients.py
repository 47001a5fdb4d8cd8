"""Numbers by patient: how different patients are, which a mean over slices hides."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from falx.data.class_names import has_negative
from falx.evaluation.predictions import Predictions
from falx.statistics import RankedScores, ranking_metrics


@dataclass(frozen=True)
class PatientScores:
    """What predictions on the slices of one patient are worth; means over repeats.

    A patient is one group, so there are no intervals.

    Attributes:
        patient: identifier.
        slices: of the patient.
        tumor_slices: of these.
        roc_auc: NaN where the slices are all of one class.
        sensitivity: NaN without tumor slices.
        specificity: NaN without tumor-free slices.
    """

    patient: str
    slices: int
    tumor_slices: int
    roc_auc: float
    sensitivity: float
    specificity: float


def score_patients(predictions: Predictions) -> tuple[PatientScores, ...]:
    """The scores of each known patient, by name; none without a negative class.

    Of several classes, any but the first, negative one is a tumor.
    """
    if not has_negative(predictions.classes):
        return ()
    patients = predictions.table["patient"].to_numpy(dtype=object)
    rows = {name: np.flatnonzero(patients == name) for name in sorted(set(patients) - {""})}
    return tuple(_scores(name, predictions.take(of_name)) for name, of_name in rows.items())


def patient_table(scores: tuple[PatientScores, ...]) -> pd.DataFrame:
    """A row a patient."""
    columns = [field.name for field in fields(PatientScores)]
    return pd.DataFrame(map(asdict, scores), columns=columns)


def _scores(name: str, of_patient: Predictions) -> PatientScores:
    tumor, predicted = of_patient.positive, of_patient.predicted_codes > 0
    once = np.ones((1, len(of_patient)))
    aucs = [
        ranking_metrics(RankedScores.of(each, tumor), once)[0][0]
        for each in of_patient.tumor_probabilities
    ]
    return PatientScores(
        patient=name,
        slices=len(of_patient),
        tumor_slices=int(tumor.sum()),
        roc_auc=float(np.mean(aucs)),
        sensitivity=_mean(predicted[:, tumor]),
        specificity=_mean(~predicted[:, ~tumor]),
    )


def _mean(right: np.ndarray) -> float:
    return float(right.mean()) if right.size else np.nan
