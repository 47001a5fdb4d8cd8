"""Volumes in reports: what is found in them, what the level of a slice has to do with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from falx.reporting.formatting import cell_of, count, number, percent, with_interval
from falx.statistics import Estimate

if TYPE_CHECKING:
    from falx.evaluation.evaluation import Evaluation
    from falx.evaluation.levels import LevelScores
    from falx.evaluation.patients import PatientScores
    from falx.evaluation.volumes import VolumeScores

PATIENTS_SHOWN = 50

VolumeRow = tuple[str, str, Estimate]
"""A name, a gloss, and the number."""


def volume_rows(evaluation: Evaluation) -> list[VolumeRow]:
    """Numbers of volumes as rows of a table; none without volumes."""
    levels, volumes = evaluation.levels, evaluation.volumes
    rows: list[VolumeRow] = []
    if levels:
        near = f"levels differ by at most {number(levels.tolerance, 2)}"
        gloss = f"over pairs of slices whose {near}; 0.5 is chance"
        rows.append(("ROC AUC at the same level", gloss, levels.same_level_auc))
    if volumes:
        rows += [
            (
                "Sensitivity per lesion",
                "lesions with a slice classified as positive",
                volumes.sensitivity,
            ),
            (
                "False positives a volume",
                f"of {number(volumes.tumor_free_slices, 1)} tumor-free slices on average",
                volumes.false_positives,
            ),
            *(
                (
                    f"Sensitivity at {count(rate, 'false positive')} a volume",
                    "lesions found, from the free-response curve",
                    estimate,
                )
                for rate, estimate in volumes.sensitivity_at.items()
            ),
        ]
    return rows


def volume_words(evaluation: Evaluation) -> Iterator[str]:
    """Sentences on volumes; none without volumes."""
    levels, volumes = evaluation.levels, evaluation.volumes
    if volumes:
        yield _lesion_words(volumes)
    if levels:
        yield _level_words(levels, evaluation.scores.estimates["roc_auc"])


def volume_table(evaluation: Evaluation) -> dict[str, Any] | None:
    """Volumes for the page: sentences, rows, and the first patients."""
    rows = volume_rows(evaluation)
    if not rows:
        return None
    patients = evaluation.patients
    return {
        "sentences": list(volume_words(evaluation)),
        "rows": [(name, gloss, cell_of(estimate)) for name, gloss, estimate in rows],
        "patients": [_patient_row(each) for each in patients[:PATIENTS_SHOWN]],
        "patients_hidden": len(patients[PATIENTS_SHOWN:]),
    }


def _lesion_words(volumes: VolumeScores) -> str:
    tested = f"{count(volumes.n, 'volume')} in {count(volumes.groups, 'group')}"
    raised = (
        f"{with_interval(volumes.false_positives, 2)} of "
        f"{number(volumes.tumor_free_slices, 1)} tumor-free slices a volume are false positives. "
        "All slices count, also those that are referred or rejected."
    )
    if not volumes.lesions:
        return f"{tested}, all without a tumor. At the operating point, {raised}"
    return (
        f"{tested}, with {count(volumes.lesions, 'lesion')}: runs of adjacent slices with tumor. "
        f"At the operating point, {percent(volumes.sensitivity.value)} of lesions are found, and "
        f"{raised}"
    )


def _level_words(levels: LevelScores, overall: Estimate) -> str:
    if not levels.pairs:
        return (
            "No tumor slice lies at the level of a tumor-free one, so there is no AUC at the same "
            "level."
        )
    return (
        "Tumors lie in the middle of volumes, so that the level of a slice alone predicts its "
        f"class. Over {count(levels.pairs, 'pair')} of slices at the same level, the AUC is "
        f"{with_interval(levels.same_level_auc)}; over all pairs it is {with_interval(overall)}."
    )


def _patient_row(scores: PatientScores) -> tuple[str, ...]:
    values = (scores.roc_auc, scores.sensitivity, scores.specificity)
    sizes = count(scores.slices), count(scores.tumor_slices)
    return (scores.patient, *sizes, *map(number, values))
