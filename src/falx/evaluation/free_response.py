"""The free-response curve: lesions found against false positives, at every threshold.

(Bunch et al., Proc. SPIE 127, 1977; Bandos et al., Biometrics 65, 2009.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from falx.statistics import (
    RESAMPLES,
    Estimate,
    Floats,
    Ints,
    bootstrap_groups,
    mean_over_repeats,
    percentile_interval,
    proportion_interval,
    ratio,
)

UNDEFINED = Estimate(np.nan, np.nan, np.nan)
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class FreeResponseCurve:
    """Points by falling threshold, the first at a threshold that nothing reaches.

    Attributes:
        false_positives: at or above the threshold, mean of volumes or slices, (points,).
        sensitivity: fraction of lesions at or above it, float (points,).
    """

    false_positives: Floats
    sensitivity: Floats


@dataclass(frozen=True, eq=False)
class Events:
    """What raises the curve as the threshold falls: lesions and false positives, by score.

    Attributes:
        lesion: 1 for a lesion, 0 for a false positive, float (events,).
        groups: code of the group of each, int (events,).
        ends: the last event of each distinct score, int (thresholds,).
        units: volumes or slices of each group, float (groups,).
    """

    lesion: Floats
    groups: Ints
    ends: Ints
    units: Floats

    @classmethod
    def of(cls, scores: Floats, lesion: np.ndarray, groups: Ints, units: Floats) -> Events:
        """Events in any order.

        Args:
            scores: the highest threshold at which each is counted; -inf for a lesion without a
                mark, float (events,).
            lesion: whether each is a lesion, bool (events,).
            groups: code of the group of each, int (events,).
            units: volumes or slices of each group, float (groups,).
        """
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], len(ranked) > 0))
        # What has no mark is found at no threshold, and still counts.
        ends = ends[np.isfinite(ranked[ends])]
        return cls(lesion[order].astype(float), groups[order], ends, units)

    def curves(self, weights: Floats) -> tuple[Floats, Floats]:
        """False positives a unit and sensitivity, float (resamples, thresholds + 1) each.

        Args:
            weights: how often each group is in each resample, float (resamples, groups).
        """
        drawn = weights[:, self.groups]
        found = (drawn * self.lesion).cumsum(axis=1)
        raised = (drawn * (1 - self.lesion)).cumsum(axis=1)[:, self.ends]
        lesions = found[:, -1:] if found.shape[1] else np.zeros((len(weights), 1))
        start = np.zeros((len(weights), 1))
        found, raised = np.hstack([start, found[:, self.ends]]), np.hstack([start, raised])
        sensitivity = ratio(found, np.broadcast_to(lesions, found.shape))
        return raised / (weights @ self.units)[:, None], sensitivity

    def curve(self) -> FreeResponseCurve:
        """The curve of all groups."""
        raised, found = self.curves(np.ones((1, len(self.units))))
        return FreeResponseCurve(raised[0], found[0])

    def sensitivity_at(self, rates: Sequence[int], weights: Floats) -> Floats:
        """The highest sensitivity with at most so many false positives: (resamples, rates)."""
        raised, found = self.curves(weights)
        each = [(raised <= rate + _ROUNDING).sum(axis=1) - 1 for rate in rates]
        return np.column_stack([found[np.arange(len(found)), last] for last in each])


def sensitivity_at(repeats: Sequence[Events], rates: Sequence[int]) -> dict[int, Estimate]:
    """The fraction of lesions found with at most so many false positives; means over repeats.

    With 95 % confidence intervals over groups.
    """
    with_lesions = repeats[0].groups[repeats[0].lesion > 0]
    if not with_lesions.size:
        return dict.fromkeys(rates, UNDEFINED)
    values, replicates = [], []
    for events in repeats:
        whole = np.ones((1, len(events.units)))
        values.append(events.sensitivity_at(rates, whole)[0])
        chunks = bootstrap_groups(
            len(events.units), resamples=RESAMPLES, columns=len(events.lesion)
        )
        resampled = [events.sensitivity_at(rates, times.astype(float)) for times in chunks]
        replicates.append(np.vstack(resampled))
    mean, columns = np.mean(values, axis=0).tolist(), mean_over_repeats(np.stack(replicates), 0)
    trials = len(np.unique(with_lesions))
    return {
        rate: percentile_interval(value, column, trials) or proportion_interval(value, trials)
        for rate, value, column in zip(rates, mean, columns.T, strict=True)
    }
