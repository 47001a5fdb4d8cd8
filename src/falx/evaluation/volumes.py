"""Volumes: which lesions are found, at how many false positives a volume.

A lesion here is a run of adjacent slices with tumor in a volume, by order of level; it is found if
at least one of them is classified as positive. A tumor-free slice classified as positive is a false
positive. Over all thresholds this gives the free-response curve, with slices in place of marked
locations.

All slices count, whatever their status: a slice that is referred or rejected as out-of-distribution
is still one that a reader of the volume would be led to or past, and without those that a detector
rejects, the skull base for one, its false positives and the lesions that it misses there would
disappear from the count. How many are rejected stands with the reliability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from falx.data.class_names import has_negative
from falx.evaluation.free_response import (
    UNDEFINED,
    Events,
    FreeResponseCurve,
    sensitivity_at,
)
from falx.evaluation.predictions import Predictions
from falx.statistics import (
    Estimate,
    Floats,
    Ints,
    mean_interval,
    ratio_interval,
)

FALSE_POSITIVE_RATES = (1, 2, 4)
"""False positives a volume at which sensitivity is read from the free-response curve."""


@dataclass(frozen=True, eq=False)
class VolumeScores:
    """Detection of lesions in volumes, with 95 % confidence intervals over groups.

    Attributes:
        n: volumes.
        groups: groups among them, such as patients.
        lesions: in all volumes.
        tumor_free_slices: mean number in a volume, the largest possible number of false positives.
        sensitivity: fraction of lesions found at the operating point; NaN without lesions.
        false_positives: at the operating point, mean number a volume.
        sensitivity_at: the highest fraction of lesions found at a threshold with at most so many
            false positives a volume; the mean over repeats.
        curve: of all repeats together; NaN sensitivity without lesions.
    """

    n: int
    groups: int
    lesions: int
    tumor_free_slices: float
    sensitivity: Estimate
    false_positives: Estimate
    sensitivity_at: dict[int, Estimate]
    curve: FreeResponseCurve

    def as_dict(self) -> dict[str, Any]:
        """All but the curve, which follows from the predictions."""
        return {name: value for name, value in vars(self).items() if name != "curve"}


@dataclass(frozen=True, eq=False)
class Volumes:
    """The slices of volumes as lesions and tumor-free slices.

    Attributes:
        rows: of the slices, by volume and then level, int (m,).
        volume: code of each, int (m,).
        lesion: number of the lesion of each, or -1 where it is tumor-free, int (m,).
        groups: code of the group of each, int (m,).
    """

    rows: Ints
    volume: Ints
    lesion: Ints
    groups: Ints

    @property
    def first(self) -> Ints:
        """Where each volume begins among `rows`: int (volumes,)."""
        return np.unique(self.volume, return_index=True)[1]

    @property
    def onset(self) -> Ints:
        """Where each lesion begins among `rows`: int (lesions,)."""
        found = np.unique(self.lesion, return_index=True)[1]
        return found[1:] if (self.lesion < 0).any() else found


def score_volumes(predictions: Predictions) -> VolumeScores | None:
    """Score predictions by volume.

    Of several classes, any but the first, negative one is a tumor. None without slices of volumes
    or without a negative class.
    """
    if not has_negative(predictions.classes):
        return None
    volumes = find_volumes(predictions)
    if not volumes.rows.size:
        return None
    first, onset, repeats = volumes.first, volumes.onset, predictions.repeats
    predicted = predictions.predicted_codes[:, volumes.rows] > 0
    tumor = volumes.lesion >= 0
    raised = np.stack(
        [np.bincount(volumes.volume, each & ~tumor, len(first)) for each in predicted]
    )
    found = np.stack([_of_lesions(volumes, each).astype(bool) for each in predicted])
    codes = volumes.groups
    return VolumeScores(
        n=len(first),
        groups=len(np.unique(codes)),
        lesions=len(onset),
        tumor_free_slices=float((~tumor).sum() / len(first)),
        sensitivity=mean_interval(found.ravel(), np.tile(codes[onset], repeats))
        if onset.size
        else UNDEFINED,
        false_positives=ratio_interval(
            raised.ravel(), np.ones(raised.size), np.tile(codes[first], repeats)
        ),
        sensitivity_at=sensitivity_at(
            [_events(volumes, each[None]) for each in predictions.tumor_probabilities],
            FALSE_POSITIVE_RATES,
        ),
        curve=_events(volumes, predictions.tumor_probabilities).curve(),
    )


def find_volumes(predictions: Predictions) -> Volumes:
    """The slices of volumes, and the lesions among them."""
    table = predictions.table.reset_index(drop=True)
    inside = table[(table["volume"] != "") & table["level"].notna()]
    rows = inside.sort_values(["volume", "level", "index"], kind="stable").index.to_numpy(np.int64)
    volume = np.unique(table["volume"].iloc[rows].to_numpy(str), return_inverse=True)[1]
    tumor = predictions.positive[rows]
    begins = tumor.copy()
    begins[1:] &= ~(tumor[:-1] & (volume[1:] == volume[:-1]))
    lesion = np.where(tumor, begins.cumsum() - 1, -1)
    codes = np.unique(predictions.groups[rows], return_inverse=True)[1]
    return Volumes(rows, volume, lesion, codes)


def _of_lesions(volumes: Volumes, values: np.ndarray) -> Floats:
    """The highest value among the slices of each lesion: float (lesions,)."""
    highest = np.full(len(volumes.onset), -np.inf)
    tumor = volumes.lesion >= 0
    np.maximum.at(highest, volumes.lesion[tumor], values[tumor])
    return highest


def _events(volumes: Volumes, probabilities: Floats) -> Events:
    """Of each repeat of probabilities (repeats, n), all together."""
    free = np.flatnonzero(volumes.lesion < 0)
    scores, repeats = probabilities[:, volumes.rows], len(probabilities)
    places = np.concatenate([volumes.onset, free])
    both = [np.concatenate([_of_lesions(volumes, each), each[free]]) for each in scores]
    return Events.of(
        np.concatenate(both),
        np.tile(volumes.lesion[places] >= 0, repeats),
        np.tile(volumes.groups[places], repeats),
        repeats * np.bincount(volumes.groups[volumes.first]).astype(float),
    )
