"""Parity: does an exported network give the outputs of the network that it was made from?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from falx.detect.rules import Rules, predicted_codes
from falx.evaluation.metrics import Scores, score
from falx.evaluation.predictions import SliceRules
from falx.exporting.choices import ExportPrecision
from falx.exporting.runtimes import Outputs


@dataclass(frozen=True)
class Bound:
    """How much the outputs of an export may differ from those of its network.

    Attributes:
        probability: largest difference of a slice's probability.
        auc: largest loss of AUC.
        heat_map: largest median difference of a heat map, relative to its maximum.
        distance: largest median relative difference of a distance; and largest difference of one
            that crosses the OOD threshold, relative to the threshold.
    """

    probability: float
    auc: float
    heat_map: float
    distance: float


BOUNDS: dict[ExportPrecision, Bound] = {
    "fp32": Bound(0.001, 0.001, 0.001, 0.001),
    "fp16": Bound(0.05, 0.005, 0.05, 0.02),
    "int8": Bound(0.1, 0.005, 0.25, 0.1),
    "int8-weights": Bound(0.1, 0.005, 0.1, 0.1),
}


@dataclass(frozen=True, eq=False)
class Parity:
    """An exported network compared with its original, on slices that it was not trained on.

    Attributes:
        expected: scores of the network, on the plain view of each slice.
        actual: scores of the export.
        expected_probabilities: of the network on the plain views, float (slices, classes).
        actual_probabilities: of the export.
        changed: slices with another predicted class or status.
        auc_loss: of AUC, over all views of all slices; negative where the export is better.
        views: of each slice, the plain one included.
        heat_map: largest difference of a slice's heat map, relative to its maximum; the median
            over slices.
        distance: relative difference of a slice's distance; the median over slices.
        crossing: largest difference of a distance that crosses the OOD threshold, relative to the
            threshold; 0 where none does.
        finite: whether all outputs of the export are finite; those that are not count as a tie of
            all classes, and as evidence and a distance of 0.
        bound: that the precision has to keep.
    """

    expected: Scores
    actual: Scores
    expected_probabilities: np.ndarray
    actual_probabilities: np.ndarray
    changed: int
    auc_loss: float
    views: int
    heat_map: float
    distance: float
    crossing: float
    finite: bool
    bound: Bound

    @property
    def differences(self) -> np.ndarray:
        """Of each slice's probability, the largest over classes: float (slices,)."""
        apart: np.ndarray = np.abs(self.expected_probabilities - self.actual_probabilities)
        return apart.max(axis=1)

    @property
    def largest(self) -> float:
        """The largest difference of a slice's probability."""
        return float(self.differences.max())

    @property
    def problem(self) -> str:
        """What breaks the bound, in words; empty where nothing does."""
        if not self.finite:
            return "it gives outputs that are not finite"
        if self.largest > self.bound.probability:
            return (
                f"it changes the probability of a slice by {self.largest:.4f}, more than "
                f"{self.bound.probability:g}"
            )
        if self.auc_loss > self.bound.auc:
            return f"it loses {self.auc_loss:.4f} AUC, more than {self.bound.auc:g}"
        if self.heat_map > self.bound.heat_map:
            return (
                f"it changes heat maps by {self.heat_map:.1%} of their maximum, more than "
                f"{self.bound.heat_map:.1%}"
            )
        if self.distance > self.bound.distance:
            return (
                f"it changes OOD distances by {self.distance:.1%}, more than "
                f"{self.bound.distance:.1%}"
            )
        if self.crossing > self.bound.distance:
            return (
                f"it takes a slice across the OOD threshold by {self.crossing:.1%} of it, "
                f"more than {self.bound.distance:.1%}"
            )
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {
            "passed": not self.problem,
            "problem": self.problem,
            "slices": self.expected.n,
            "views": self.views,
            "bound": asdict(self.bound),
            "largest_difference": self.largest,
            "mean_difference": float(self.differences.mean()),
            "statuses_changed": self.changed,
            "auc_loss": self.auc_loss,
            "heat_map_difference": self.heat_map,
            "distance_difference": self.distance,
            "distance_across_threshold": self.crossing,
            **{
                name: {
                    "keras": self.expected.estimates[name],
                    "export": self.actual.estimates[name],
                }
                for name in ("roc_auc", "accuracy", "calibration_error", "brier", "log_loss")
            },
        }  # fmt: skip


def compare(
    expected: Outputs,
    actual: Outputs,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    *,
    rules: Rules,
    precision: ExportPrecision,
) -> Parity:
    """Compare the outputs of an export with those of its network.

    AUC is compared over several views of each slice, since on one view of a few dozen slices a
    handful of pairs that swap ranks changes it by half a point.

    Args:
        expected: of n slices, v views each: first all plain ones, then all second ones, and so on;
            all of them finite.
        actual: of the same.
        labels: class codes of the slices, int (n,).
        groups: group of each slice, int (n,).
    """
    n = len(labels)
    views = len(expected.probabilities) // n
    finite = all(np.isfinite(part).all() for part in vars(actual).values())
    probabilities = [_normalized(each.probabilities) for each in (expected, actual)]
    plain = [each[:n] for each in probabilities]
    scores = [score(labels, each, groups, classes, threshold=rules.threshold) for each in plain]
    areas = [_area(np.tile(labels, views), each) for each in probabilities]
    distances = [each.distances[:n].astype(np.float64) for each in (expected, actual)]
    answers = [_answers(*each, rules) for each in zip(plain, distances, strict=True)]
    difference = np.abs(np.nan_to_num(distances[1], posinf=0) - distances[0])
    strongest = np.abs(expected.heat_maps[:n]).max(axis=(1, 2, 3))
    heat_maps = np.nan_to_num(actual.heat_maps[:n], posinf=0, neginf=0)
    apart = np.abs(expected.heat_maps[:n] - heat_maps).max(axis=(1, 2, 3))
    return Parity(
        expected=scores[0],
        actual=scores[1],
        expected_probabilities=plain[0],
        actual_probabilities=plain[1],
        changed=int((answers[0] != answers[1]).any(axis=1).sum()),
        auc_loss=areas[0] - areas[1],
        views=views,
        heat_map=float(np.median(apart / np.maximum(strongest, np.finfo(np.float32).tiny))),
        distance=float(np.median(difference / np.maximum(distances[0], np.finfo(np.float32).tiny))),
        crossing=_crossing(difference, answers[0], answers[1], rules),
        finite=finite,
        bound=BOUNDS[precision],
    )


def _answers(probabilities: np.ndarray, distances: np.ndarray, rules: Rules) -> np.ndarray:
    """Status and class code of each slice, object (slices, 2); that of an OOD slice is -1."""
    status = SliceRules.of([rules] * len(distances)).statuses(probabilities, distances)
    codes = predicted_codes(probabilities, rules.threshold)
    return np.stack([status, np.where(status == "out_of_distribution", -1, codes)], axis=1)


def _crossing(
    difference: np.ndarray, expected: np.ndarray, actual: np.ndarray, rules: Rules
) -> float:
    """See `Parity.crossing`; `difference` is that of distances, (slices,)."""
    if not rules.ood_threshold:
        return 0.0
    crossed = (expected[:, 0] == "out_of_distribution") != (actual[:, 0] == "out_of_distribution")
    return float(difference[crossed].max(initial=0.0) / rules.ood_threshold)


def _normalized(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities that sum to 1, which those rounded to 8 bits may miss.

    Where one is not finite, or all are 0, all classes of the slice tie.
    """
    finite = np.isfinite(probabilities).all(axis=1, keepdims=True)
    some = probabilities.sum(axis=1, keepdims=True) > 0
    values = np.where(finite & some, probabilities, 1.0).astype(np.float64)
    result: np.ndarray = values / values.sum(axis=1, keepdims=True)
    return result


def _area(labels: np.ndarray, probabilities: np.ndarray) -> float:
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(labels, probabilities[:, 1]))
    return float(roc_auc_score(labels, probabilities, multi_class="ovr"))
