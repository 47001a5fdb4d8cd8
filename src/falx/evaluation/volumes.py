"""Volumes: which lesions are found, at how many false positives a volume.

A lesion here is a run of adjacent slices with tumor in a volume, by order of level; it is found if
at least one of them is classified as positive. A tumor-free slice classified as positive is a false
positive. Over all thresholds this gives the free-response curve (Bunch et al., Proc. SPIE 127,
1977; Bandos et al., Biometrics 65, 2009), with slices in place of marked locations.

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
from falx.evaluation.predictions import Predictions
from falx.statistics import (
    RESAMPLES,
    Estimate,
    Floats,
    Ints,
    bootstrap_groups,
    mean_interval,
    mean_over_repeats,
    percentile_interval,
    proportion_interval,
    ratio,
    ratio_interval,
)

FALSE_POSITIVE_RATES = (1, 2, 4)
"""False positives a volume at which sensitivity is read from the free-response curve."""
_UNDEFINED = Estimate(np.nan, np.nan, np.nan)
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class FreeResponseCurve:
    """Points by falling threshold, the first at a threshold that no slice reaches.

    Attributes:
        false_positives: tumor-free slices at or above the threshold, mean of volumes, (points,).
        sensitivity: fraction of lesions with a slice at or above it, float (points,).
    """

    false_positives: Floats
    sensitivity: Floats


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


@dataclass(frozen=True, eq=False)
class _Events:
    """What raises the curve as the threshold falls: lesions and tumor-free slices, by score.

    Attributes:
        lesion: 1 for a lesion, 0 for a tumor-free slice, float (events,).
        groups: code of the group of each, int (events,).
        ends: the last event of each distinct score, int (thresholds,).
        volumes: of each group, float (groups,).
    """

    lesion: Floats
    groups: Ints
    ends: Ints
    volumes: Floats

    def curves(self, weights: Floats) -> tuple[Floats, Floats]:
        """False positives a volume and sensitivity, float (resamples, thresholds + 1) each.

        Args:
            weights: how often each group is in each resample, float (resamples, groups).
        """
        drawn = weights[:, self.groups]
        found = (drawn * self.lesion).cumsum(axis=1)[:, self.ends]
        raised = (drawn * (1 - self.lesion)).cumsum(axis=1)[:, self.ends]
        start = np.zeros((len(weights), 1))
        found, raised = np.hstack([start, found]), np.hstack([start, raised])
        all_lesions = np.broadcast_to(found[:, -1:], found.shape)
        return raised / (weights @ self.volumes)[:, None], ratio(found, all_lesions)

    def sensitivity_at(self, rates: tuple[int, ...], weights: Floats) -> Floats:
        """The highest sensitivity with at most so many false positives: (resamples, rates)."""
        raised, found = self.curves(weights)
        each = [(raised <= rate + _ROUNDING).sum(axis=1) - 1 for rate in rates]
        return np.column_stack([found[np.arange(len(found)), last] for last in each])


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
        else _UNDEFINED,
        false_positives=ratio_interval(
            raised.ravel(), np.ones(raised.size), np.tile(codes[first], repeats)
        ),
        sensitivity_at=_sensitivity_at(volumes, predictions.tumor_probabilities),
        curve=_curve(volumes, predictions.tumor_probabilities),
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


def _events(volumes: Volumes, probabilities: Floats) -> _Events:
    """Of each repeat of probabilities (repeats, n), all together."""
    free = np.flatnonzero(volumes.lesion < 0)
    scores, repeats = probabilities[:, volumes.rows], len(probabilities)
    both = np.concatenate(
        [np.concatenate([_of_lesions(volumes, each), each[free]]) for each in scores]
    )
    places = np.concatenate([volumes.onset, free])
    order = np.argsort(-both, kind="stable")
    return _Events(
        lesion=np.tile(volumes.lesion[places] >= 0, repeats)[order].astype(float),
        groups=np.tile(volumes.groups[places], repeats)[order],
        ends=np.flatnonzero(np.diff(both[order], append=-np.inf)),
        volumes=repeats * np.bincount(volumes.groups[volumes.first]).astype(float),
    )


def _curve(volumes: Volumes, probabilities: Floats) -> FreeResponseCurve:
    events = _events(volumes, probabilities)
    raised, found = events.curves(np.ones((1, len(events.volumes))))
    return FreeResponseCurve(raised[0], found[0])


def _sensitivity_at(volumes: Volumes, probabilities: Floats) -> dict[int, Estimate]:
    if not volumes.onset.size:
        return dict.fromkeys(FALSE_POSITIVE_RATES, _UNDEFINED)
    values, replicates = [], []
    for each in probabilities:
        events = _events(volumes, each[None])
        whole = np.ones((1, len(events.volumes)))
        values.append(events.sensitivity_at(FALSE_POSITIVE_RATES, whole)[0])
        chunks = bootstrap_groups(
            len(events.volumes), resamples=RESAMPLES, columns=len(events.lesion)
        )
        replicates.append(
            np.vstack(
                [
                    events.sensitivity_at(FALSE_POSITIVE_RATES, times.astype(float))
                    for times in chunks
                ]
            )
        )
    mean, resampled = np.mean(values, axis=0).tolist(), mean_over_repeats(np.stack(replicates), 0)
    trials = len(np.unique(volumes.groups[volumes.onset]))
    return {
        rate: percentile_interval(value, column, trials) or proportion_interval(value, trials)
        for rate, value, column in zip(FALSE_POSITIVE_RATES, mean, resampled.T, strict=True)
    }
