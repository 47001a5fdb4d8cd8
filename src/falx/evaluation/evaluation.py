"""The one result: predictions on labeled slices, and everything that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from falx.data.label_check import LabelCheck, check_labels
from falx.detect.site import SiteCheck
from falx.evaluation.levels import LevelScores, score_levels
from falx.evaluation.metrics import Scores, score, score_repeats
from falx.evaluation.patients import PatientScores, score_patients
from falx.evaluation.predictions import Predictions
from falx.evaluation.reliability import Reliability, score_reliability
from falx.evaluation.sources import SourceScores, score_sources
from falx.evaluation.studies import StudyScores, score_studies
from falx.evaluation.subgroups import Factor, score_subgroups
from falx.evaluation.volumes import VolumeScores, score_volumes
from falx.serialization import to_json

if TYPE_CHECKING:
    # Measuring faithfulness takes Keras, and reading an evaluation back must not.
    from falx.evaluation.faithfulness import FaithfulnessScores
    from falx.evaluation.localization import LocalizationScores
    from falx.evaluation.occlusion import BorderOnlyScores, OcclusionScores
    from falx.evaluation.regions import RegionScores
    from falx.evaluation.robustness import RobustnessScores

_FOLD_METRICS = ("accuracy", "roc_auc", "log_loss")


@dataclass(frozen=True)
class FoldScores:
    """What one fold's detector of a cross-validation is worth on its test slices."""

    repeat: int
    fold: int
    scores: Scores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions on labeled slices, and what they are worth.

    A training holds one of its test part, a cross-validation one of all slices, a test on other
    data one of these.

    Attributes:
        predictions: of detectors that did not train on the slices.
        leaked: whether each slice shares a group with one that the detector has seen, bool (n,);
            None where that is not known.
        localization: how well heat maps agree with tumor masks, where there are masks.
        regions: the lesions that the map of a localization head finds, where there are masks.
        faithfulness: of heat maps, as far as it can be measured without masks.
        border_only: of predictions on slices of which only the border is left.
        occlusion: of predictions on slices whose tumor was inpainted.
        site: whether the slices that did not leak differ, as a set, from those of training.
        robustness: scores of corrupted slices, where asked for.
    """

    predictions: Predictions
    leaked: np.ndarray | None
    localization: LocalizationScores | None = None
    regions: RegionScores | None = None
    faithfulness: FaithfulnessScores | None = None
    border_only: BorderOnlyScores | None = None
    occlusion: OcclusionScores | None = None
    site: SiteCheck | None = None
    robustness: RobustnessScores | None = None

    @cached_property
    def scores(self) -> Scores:
        """Every metric, with 95 % confidence intervals over groups and repeats."""
        found = self.predictions
        return score_repeats(
            found.labels, list(found.probabilities), found.groups, found.classes,
            threshold=found.thresholds,
        )  # fmt: skip

    @cached_property
    def reliability(self) -> Reliability:
        """Calibration, coverage, referral and out-of-distribution rate."""
        return score_reliability(self.predictions, self.scores)

    @property
    def n_leaked(self) -> int | None:
        """How many slices share a group with one that the detector has seen; None: not known."""
        return None if self.leaked is None else int(self.leaked.sum())

    @cached_property
    def without_leakage(self) -> Evaluation | None:
        """The same on the slices that did not leak.

        None where none leaked, where that is not known, or where a class would be lost.
        """
        if self.leaked is None or not self.leaked.any():
            return None
        kept, labels = np.flatnonzero(~self.leaked), self.predictions.labels
        if len(np.unique(labels[kept])) < len(np.unique(labels)):
            return None
        return Evaluation(self.predictions.take(kept), np.zeros(len(kept), bool))

    @cached_property
    def studies(self) -> StudyScores | None:
        """Scores by study; None where no study of two slices or more has an answer."""
        return score_studies(self.predictions)

    @cached_property
    def levels(self) -> LevelScores | None:
        """ROC AUC at the same level; None where no slice is of a volume."""
        return score_levels(self.predictions)

    @cached_property
    def volumes(self) -> VolumeScores | None:
        """Detection of lesions in volumes; None where no slice is of a volume."""
        return score_volumes(self.predictions)

    @cached_property
    def patients(self) -> tuple[PatientScores, ...]:
        """Scores of each patient, as far as patients are known."""
        return score_patients(self.predictions)

    @cached_property
    def by_source(self) -> tuple[SourceScores, ...]:
        """Scores of each of several datasets; empty where there is one."""
        return score_sources(self.predictions)

    @cached_property
    def by_fold(self) -> tuple[FoldScores, ...]:
        """Scores of each fold of a cross-validation; their intervals mean nothing."""
        if not self.predictions.is_cross_validated:
            return ()
        return tuple(
            FoldScores(repeat + 1, int(fold), self._fold_scores(repeat, fold))
            for repeat, folds in enumerate(self.predictions.folds)
            for fold in np.unique(folds)
        )

    @cached_property
    def label_check(self) -> LabelCheck:
        """The slices whose label is likely wrong, by out-of-fold predictions."""
        found = self.predictions
        return check_labels(found.labels, found.probabilities, found.classes)

    @cached_property
    def subgroups(self) -> tuple[Factor, ...]:
        """Scores by appearance, source and size of slices."""
        found = self.predictions
        return score_subgroups(
            found.table, found.labels, list(found.probabilities), found.classes,
            threshold=found.thresholds,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """What metrics.json holds: scores first, then all that was measured besides."""
        rest = self.without_leakage
        optional = {
            "without_leakage": rest.scores if rest else None,
            "by_source": [each.as_dict() for each in self.by_source] or None,
            "studies": self.studies,
            "level": self.levels,
            "volumes": self.volumes,
            "localization": self.localization,
            "regions": self.regions.as_dict() if self.regions else None,
            "faithfulness": self.faithfulness,
            "border_only": self.border_only,
            "occlusion": self.occlusion,
            "site_check": self.site,
            "robustness": self.robustness,
        }
        content = {**self.scores.as_dict(), "reliability": self.reliability}
        if self.predictions.is_cross_validated:
            content |= self._folds_as_dict()
        else:
            content["leaked"] = self.n_leaked
        return to_json(content | {k: v for k, v in optional.items() if v is not None})

    def _fold_scores(self, repeat: int, fold: int) -> Scores:
        found = self.predictions
        rows = np.flatnonzero(found.folds[repeat] == fold)
        return score(
            found.labels[rows], found.probabilities[repeat, rows], found.groups[rows],
            found.classes, threshold=found.rules[repeat][fold - 1].threshold, resamples=1,
        )  # fmt: skip

    def _folds_as_dict(self) -> dict[str, Any]:
        return {
            "repeats": self.predictions.repeats,
            "folds": int(self.predictions.folds.max()),
            "by_fold": [
                {
                    "repeat": each.repeat,
                    "fold": each.fold,
                    "n": each.scores.n,
                    "groups": each.scores.groups,
                    **{name: each.scores.estimates[name].value for name in _FOLD_METRICS},
                }
                for each in self.by_fold
            ],
        }
