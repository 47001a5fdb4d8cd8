"""Numbers by source: whether a detector is worth the same on each of several datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from falx.evaluation.metrics import Scores, score_repeats
from falx.evaluation.predictions import Predictions
from falx.evaluation.reliability import Reliability, score_reliability
from falx.statistics import Estimate

_METRICS = ("roc_auc", "accuracy", "sensitivity", "specificity")


@dataclass(frozen=True, eq=False)
class SourceScores:
    """What predictions on the slices of one source are worth.

    Attributes:
        source: name of the dataset.
        scores: of its slices; NaN where undefined, such as the AUC of slices of one class.
        reliability: of its slices.
        related: slices of the other sources, among those predicted, that share a group with one of
            its.
        unrelated_groups: groups of each class that the others make.
    """

    source: str
    scores: Scores
    reliability: Reliability
    related: int
    unrelated_groups: dict[str, int]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The measures that are shown by source."""
        measured = {name: self.scores.estimates[name] for name in _METRICS}
        return measured | {
            "coverage": self.reliability.coverage,
            "out_of_distribution": self.reliability.out_of_distribution,
            "referred": self.reliability.referred,
        }

    def as_dict(self) -> dict[str, Any]:
        """Source, sizes and measures, flat."""
        return {
            "source": self.source,
            "n": self.scores.n,
            "groups": self.scores.groups,
            "related": self.related,
            "unrelated_groups": self.unrelated_groups,
            **{name: estimate.as_dict() for name, estimate in self.estimates.items()},
        }


def score_sources(predictions: Predictions) -> tuple[SourceScores, ...]:
    """The scores of each source, in order of appearance; none of a single source."""
    names = predictions.table["source"].to_numpy(dtype=object)
    sources = list(dict.fromkeys(names))
    if len(sources) < 2:
        return ()
    return tuple(_scores(predictions, name, names == name) for name in sources)


def _scores(predictions: Predictions, name: str, own: np.ndarray) -> SourceScores:
    groups, found = predictions.groups, predictions.take(np.flatnonzero(own))
    scores = score_repeats(
        found.labels, list(found.probabilities), found.groups, found.classes,
        threshold=found.thresholds,
    )  # fmt: skip
    shared = np.isin(groups, groups[own])
    rest = {
        label: len(np.unique(groups[~shared & (predictions.labels == code)]))
        for code, label in enumerate(predictions.classes)
    }
    related = int((shared & ~own).sum())
    return SourceScores(name, scores, score_reliability(found, scores), related, rest)
