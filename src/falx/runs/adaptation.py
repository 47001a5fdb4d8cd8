"""What a detector with a linear head gains from labeled slices of a place, and what it becomes.

Candidates go from few parameters to many. Each is tested out of fold, by folds of whole groups, and
taken only if its log loss is significantly lower than that of the best before it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from falx.data.catalog import Catalog
from falx.data.placing import planes_of
from falx.detect.finding import class_probabilities
from falx.detect.rules import Rules
from falx.errors import BadInput
from falx.evaluation.calibration import fit_conformal_threshold, operating_threshold
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.predictions import Predictions
from falx.evaluation.study_calibration import calibrate_studies
from falx.model.reference import MahalanobisReference
from falx.runs.local_data import LocalData
from falx.statistics import sign_flip_p
from falx.training.adaptation import Candidate, Layers, adapt_layers, fold_pairs
from falx.training.ood import NO_OOD_THRESHOLD, fit_mahalanobis, fit_ood_threshold

logger = logging.getLogger(__name__)

SIGNIFICANCE = 0.05
MIN_GROUPS = 5
"""Of four, the sign-flip test gives p = 1 / 16 at least, so that nothing could be significant."""
MIN_GROUPS_OF_CLASS = 2

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class LinearRules:
    """What an adaptation changes of a detector.

    Attributes:
        logits: of the slices that it was fitted to, by layers fitted to other groups; None of a
            detector that saw none of them.
    """

    layers: Layers
    rules: Rules
    reference: MahalanobisReference | None = None
    logits: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Attempt:
    """A candidate, tested out of fold.

    Attributes:
        gain: by how much its log loss is below that of the best before it, the mean over groups.
        p: one-sided, of the sign-flip test over groups.
    """

    candidate: Candidate
    evaluation: Evaluation
    gain: float
    p: float

    @property
    def is_taken(self) -> bool:
        """Whether it is better than what was best before it, significantly."""
        return self.gain > 0 and self.p <= SIGNIFICANCE

    def as_dict(self) -> dict[str, Any]:
        """What adaptation.json says of it."""
        return {
            "candidate": self.candidate, "gain": self.gain, "p": self.p, "taken": self.is_taken,
            "metrics": self.evaluation.as_dict(),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Adaptation:
    """The candidates for a place.

    Attributes:
        before: the detector as it is, on the same slices.
        attempts: from few parameters to many.
    """

    before: Evaluation
    attempts: tuple[Attempt, ...]

    @property
    def taken(self) -> Attempt | None:
        """The last one that was taken; None where the detector stays as it is."""
        return next((each for each in reversed(self.attempts) if each.is_taken), None)


def check_groups(usable: Catalog) -> None:
    """See that there are enough patients (groups) to adapt to, and of each class.

    Raises:
        BadInput: there are not.
    """
    groups, labels = usable.groups, usable.labels
    of_class = {
        name: len(np.unique(groups[labels == code])) for code, name in enumerate(usable.classes)
    }
    fewest = min(of_class, key=lambda name: of_class[name])
    total = len(np.unique(groups))
    if total < MIN_GROUPS or of_class[fewest] < MIN_GROUPS_OF_CLASS:
        raise BadInput(
            f"An adaptation needs labeled slices of at least {MIN_GROUPS} patients (groups), and "
            f"of each class in {MIN_GROUPS_OF_CLASS} of them; there are {total}, and "
            f"{of_class[fewest]} with the class '{fewest}': label more."
        )
    for rest, _ in fold_pairs(groups):
        if len(np.unique(labels[rest])) < len(usable.classes):
            raise BadInput(
                f"The class '{fewest}' lies in too few patients (groups) to test an adaptation on "
                "others; label more of it."
            )


def compare(
    old: LinearRules, local: LocalData, before: Predictions, listener: Callable[[str], None]
) -> Adaptation:
    """Test every candidate out of fold.

    Args:
        old: the detector's.
        before: its predictions on the same slices.
        listener: is told the name of each candidate.
    """
    best, attempts = before, []
    # Of a localization head, the linear head is slope and intercept, which the others change.
    names: tuple[Candidate, ...] = ("rules", "wide", "map" if local.cells else "head")
    for name in names:
        listener(name)
        predictions = _out_of_fold(name, old, local)
        differences = _losses(best) - _losses(predictions)
        attempt = Attempt(
            name,
            Evaluation(predictions, np.zeros(len(predictions), bool)),
            float(differences.mean()),
            sign_flip_p(differences),
        )
        attempts.append(attempt)
        best = predictions if attempt.is_taken else best
    return Adaptation(Evaluation(before, np.zeros(len(before), bool)), tuple(attempts))


def fit(candidate: Candidate, old: LinearRules, local: LocalData, rows: np.ndarray) -> LinearRules:
    """Fit layers, rules and Mahalanobis reference to some of the slices, int (rows,).

    Thresholds are chosen on probabilities by layers that were fitted to other groups.
    """
    adapted = adapt_layers(candidate, old.layers.head, local.slices.take(rows))
    probabilities = class_probabilities(adapted.logits)
    labels, groups = local.usable.labels[rows], local.usable.groups[rows]
    plain, corrupted = local.ood_features[rows], local.corrupted[rows]
    reference = fit_mahalanobis(np.concatenate([plain, corrupted]))
    ood_threshold = fit_ood_threshold(plain, corrupted, groups)
    if ood_threshold is None:
        logger.warning("Of the local slices, %s.", NO_OOD_THRESHOLD)
    rules = replace(
        old.rules,
        threshold=operating_threshold(probabilities, labels, old.rules.operating_point),
        temperature=1.0,
        conformal_threshold=fit_conformal_threshold(probabilities, labels, old.rules.alpha),
        ood_threshold=ood_threshold,
        study=None,
        planes=planes_of(local.usable.table.iloc[rows]),
    )
    validation = Predictions.of_detector(
        local.usable, rows, probabilities, reference.distances(plain), rules
    )
    rules = calibrate_studies(validation, top_fraction=rules.top_fraction)
    return LinearRules(adapted.layers, rules, reference, adapted.logits)


def _out_of_fold(candidate: Candidate, old: LinearRules, local: LocalData) -> Predictions:
    """Predictions on every slice, by what was fitted to other groups."""
    usable = local.usable
    n, folds = len(usable), fold_pairs(usable.groups)
    probabilities = np.empty((n, len(usable.classes)))
    distances, numbers, rules = np.empty(n), np.empty(n, np.int64), []
    for number, (rest, tested) in enumerate(folds, start=1):
        fitted = fit(candidate, old, local, rest)
        assert fitted.reference is not None
        logits = fitted.layers.logits(local.slices.take(tested))
        probabilities[tested] = class_probabilities(logits)
        distances[tested] = fitted.reference.distances(local.ood_features[tested])
        numbers[tested] = number
        rules.append(fitted.rules)
    return Predictions(
        table=usable.table.reset_index(drop=True),
        classes=usable.classes,
        rows=np.arange(n),
        probabilities=probabilities[None],
        distances=distances[None],
        folds=numbers[None],
        rules=(tuple(rules),),
    )


def _losses(predictions: Predictions) -> np.ndarray:
    """Mean log loss of the slices of each group, in order of the groups: float (groups,)."""
    of_label = predictions.probabilities[0, np.arange(len(predictions)), predictions.labels]
    codes = np.unique(predictions.groups, return_inverse=True)[1]
    losses = -np.log(np.maximum(of_label, _TINY))
    means: np.ndarray = np.bincount(codes, losses) / np.bincount(codes)
    return means
