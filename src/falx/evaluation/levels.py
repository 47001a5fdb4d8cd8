"""ROC AUC at the same level: is a tumor slice ranked above a tumor-free one of the same height?

In volumes, most tumor slices lie in the middle, so that where a slice lies predicts its class, and
an AUC over all pairs of slices rewards a detector that knows the level and nothing else. Here a
positive slice is compared only with negative slices, of any volume, that lie at the same level: a
Mann-Whitney statistic of pairs matched on a covariate, the covariate-adjusted ROC curve's area
(Janes and Pepe, Biometrika 96, 2009).

A score that is a function of the level alone then has about 0.5; what differs within the tolerance
leaves 0.53 where tumors are as frequent by level as in ../shared/data/btp, and 0.75 over all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from falx.data.class_names import has_negative
from falx.evaluation.predictions import Predictions
from falx.statistics import (
    RESAMPLES,
    Estimate,
    Floats,
    bootstrap_groups,
    mean_over_repeats,
    percentile_interval,
    proportion_interval,
    ratio,
)

LEVEL_TOLERANCE = 0.05
"""Largest difference of two levels that count as the same, as a fraction of the head's height."""

_ROUNDING = 1e-9
_CHUNK = 256  # positive slices at a time, beside all negative ones near their levels


@dataclass(frozen=True)
class LevelScores:
    """How well slices of volumes are ranked among those of the same level.

    Attributes:
        n: slices with a level.
        groups: groups among them.
        pairs: of a positive and a negative slice at the same level and of one plane.
        tolerance: largest difference of levels in a pair, in [0, 1].
        same_level_auc: fraction of pairs in which the positive slice has the higher probability, a
            tie counting half; the mean over repeats. NaN without pairs.
    """

    n: int
    groups: int
    pairs: int
    tolerance: float
    same_level_auc: Estimate


@dataclass(frozen=True)
class _Matched:
    """Slices of one plane, of one class, by level.

    Attributes:
        rows: which slices, int (m,).
        levels: ascending, float (m,).
    """

    rows: np.ndarray
    levels: Floats

    @classmethod
    def of(cls, rows: np.ndarray, levels: Floats) -> _Matched:
        ordered = rows[np.argsort(levels[rows], kind="stable")]
        return cls(ordered, levels[ordered])


def score_levels(predictions: Predictions) -> LevelScores | None:
    """Score predictions at the same level, with a 95 % confidence interval over groups and repeats.

    Of several classes, any but the first, negative one is positive. None without slices of volumes
    or without a negative class.
    """
    rows = np.flatnonzero(np.isfinite(predictions.table["level"].to_numpy(float)))
    if not rows.size or not has_negative(predictions.classes):
        return None
    found = predictions.take(rows)
    names, codes = np.unique(found.groups, return_inverse=True)
    won, pairs = pair_counts(
        found.tumor_probabilities,
        found.positive,
        found.table["level"].to_numpy(float),
        found.table["plane"].tolist(),
        codes,
    )
    auc = _estimate(won, pairs)
    return LevelScores(len(rows), len(names), int(pairs.sum()), LEVEL_TOLERANCE, auc)


def pair_counts(
    probabilities: Floats,
    positive: np.ndarray,
    levels: Floats,
    planes: Sequence[str],
    groups: np.ndarray,
) -> tuple[Floats, Floats]:
    """Pairs at the same level, by the groups of their positive and their negative slice.

    A resample weights each slice by how often its group was drawn, so these sums are all that a
    bootstrap over groups needs.

    Args:
        probabilities: of a tumor, float (repeats, n).
        positive: bool (n,).
        levels: float (n,) in [0, 1].
        planes: of each slice; levels of two planes can't be compared.
        groups: codes from 0, int (n,).

    Returns:
        Pairs won by the positive slice, float (repeats, groups, groups), a tie being half, and all
        pairs, float (groups, groups).
    """
    size = int(groups.max()) + 1
    won, pairs = np.zeros((len(probabilities), size, size)), np.zeros((size, size))
    member = csr_matrix((np.ones(len(groups)), (np.arange(len(groups)), groups)))
    for ups, downs, same_level in _blocks(positive, levels, np.asarray(planes, object)):
        of_group = member[downs]
        np.add.at(pairs, groups[ups], same_level @ of_group)
        for repeat, scores in enumerate(probabilities):
            up, down = scores[ups][:, None], scores[downs]
            ahead = same_level * ((up > down) + (up == down) / 2)
            np.add.at(won[repeat], groups[ups], ahead @ of_group)
    return won, pairs


def _blocks(
    positive: np.ndarray, levels: Floats, planes: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, Floats]]:
    """Rows of some positives, rows of all negatives near them, and 1 where levels are the same."""
    reach = LEVEL_TOLERANCE + _ROUNDING
    for plane in np.unique(planes):
        ups = _Matched.of(np.flatnonzero((planes == plane) & positive), levels)
        downs = _Matched.of(np.flatnonzero((planes == plane) & ~positive), levels)
        for start in range(0, len(ups.rows), _CHUNK):
            at = ups.levels[start : start + _CHUNK]
            near = slice(*np.searchsorted(downs.levels, [at[0] - reach, at[-1] + reach]))
            same = np.abs(at[:, None] - downs.levels[near]) <= reach
            yield ups.rows[start : start + _CHUNK], downs.rows[near], same.astype(float)


def _estimate(won: Floats, pairs: Floats) -> Estimate:
    """The AUC, from what `pair_counts` returns."""
    n_groups, total = len(pairs), pairs.sum()
    if not total:
        return Estimate(np.nan, np.nan, np.nan)
    value = float(won.sum(axis=(1, 2)).mean() / total)
    chunks: list[Floats] = []
    for times in bootstrap_groups(n_groups, resamples=RESAMPLES):
        weights = times.astype(float)
        drawn = _weighted(weights, pairs)
        chunks.append(np.stack([ratio(_weighted(weights, each), drawn) for each in won]))
    replicates = mean_over_repeats(np.concatenate(chunks, axis=1), 0)
    fewest = int(min((pairs.sum(axis=axis) > 0).sum() for axis in (0, 1)))
    return percentile_interval(value, replicates, fewest) or proportion_interval(value, fewest)


def _weighted(weights: Floats, counts: Floats) -> Floats:
    """Pairs in each resample, (resamples,), of counts (groups, groups)."""
    total: Floats = ((weights @ counts) * weights).sum(axis=1)
    return total
