"""Whether an exported network answers as the network that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from falx.detect.rules import Rules, predicted_codes
from falx.evaluation.metrics import Scores, score
from falx.evaluation.trust import SliceRules
from falx.exporting.choices import ExportPrecision
from falx.exporting.runtimes import Answers


@dataclass(frozen=True)
class Bound:
    """How far an export may be from its network.

    Attributes:
        probability: largest difference of a slice's probability.
        auc: largest loss of AUC.
        heat: largest typical difference of a heat map, as a share of its strongest place.
        distance: largest typical difference of a distance from training slices, as a share of it;
            and of one that makes a slice foreign or no longer so, as a share of the limit.
    """

    probability: float
    auc: float
    heat: float
    distance: float


BOUNDS: dict[ExportPrecision, Bound] = {
    "fp32": Bound(0.001, 0.001, 0.001, 0.001),
    "fp16": Bound(0.05, 0.005, 0.05, 0.02),
    "int8": Bound(0.1, 0.005, 0.25, 0.1),
    "int8-weights": Bound(0.1, 0.005, 0.1, 0.1),
}


@dataclass(frozen=True, eq=False)
class Parity:
    """An exported network held to its original on slices that it was not trained on.

    Attributes:
        expected: numbers of the network, on the plain view of each slice.
        actual: those of the export.
        expected_probabilities: of the network on the plain views, float (slices, classes).
        actual_probabilities: of the export.
        changed: slices that are answered otherwise: by another label, or referred or refused.
        auc_loss: of AUC, over all views of all slices; negative where the export is better.
        views: of each slice, the plain one included.
        heat: largest difference of a place in a slice's heat map, as a share of its strongest
            place; the median over slices.
        distance: difference of a slice's distance from training slices, as a share of it; the
            median over slices.
        crossing: largest difference of a distance that makes a slice foreign or no longer so, as a
            share of the limit; 0 where none does.
        finite: whether all that the export gives are numbers; those that are not count as a tie of
            all classes, and as heat and a distance of 0.
        bound: what the precision promises.
    """

    expected: Scores
    actual: Scores
    expected_probabilities: np.ndarray
    actual_probabilities: np.ndarray
    changed: int
    auc_loss: float
    views: int
    heat: float
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
            return "it gives answers that are not numbers"
        if self.largest > self.bound.probability:
            return (
                f"it moves the probability of a slice by {self.largest:.4f}, more than "
                f"{self.bound.probability:g}"
            )
        if self.auc_loss > self.bound.auc:
            return f"it loses {self.auc_loss:.4f} of AUC, more than {self.bound.auc:g}"
        if self.heat > self.bound.heat:
            return (
                f"it moves places of heat maps by {self.heat:.1%} of the strongest, more than "
                f"{self.bound.heat:.1%}"
            )
        if self.distance > self.bound.distance:
            return (
                f"it moves distances from training slices by {self.distance:.1%}, more than "
                f"{self.bound.distance:.1%}"
            )
        if self.crossing > self.bound.distance:
            return (
                f"it takes a slice across the limit of foreign ones by {self.crossing:.1%} of it, "
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
            "answers_changed": self.changed,
            "auc_loss": self.auc_loss,
            "heat_map_difference": self.heat,
            "distance_difference": self.distance,
            "distance_across_limit": self.crossing,
            **{
                name: {"keras": self.expected.estimates[name].as_dict(),
                       "export": self.actual.estimates[name].as_dict()}
                for name in ("roc_auc", "accuracy", "calibration_error", "brier", "log_loss")
            },
        }  # fmt: skip


def compare(
    expected: Answers,
    actual: Answers,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    *,
    rules: Rules,
    precision: ExportPrecision,
) -> Parity:
    """Hold the answers of an export to those of its network.

    AUC is compared over several views of each slice, since on one view of a few dozen slices it
    moves by half a point through a handful of pairs that change places.

    Args:
        expected: of n slices, v views each: first all plain ones, then all second ones, and so on;
            all of them numbers.
        actual: of the same.
        labels: class codes of the slices, int (n,).
        groups: group of each slice, int (n,).
    """
    n = len(labels)
    views = len(expected.probabilities) // n
    finite = all(np.isfinite(part).all() for part in vars(actual).values())
    found = [_summing_to_one(answers.probabilities) for answers in (expected, actual)]
    plain = [each[:n] for each in found]
    scores = [score(labels, each, groups, classes, threshold=rules.threshold) for each in plain]
    areas = [_area(np.tile(labels, views), each) for each in found]
    far = [each.distances[:n].astype(np.float64) for each in (expected, actual)]
    called = [_called(*each, rules) for each in zip(plain, far, strict=True)]
    moved = np.abs(np.nan_to_num(far[1], posinf=0) - far[0])
    strongest = np.abs(expected.heat_maps[:n]).max(axis=(1, 2, 3))
    heat_maps = np.nan_to_num(actual.heat_maps[:n], posinf=0, neginf=0)
    apart = np.abs(expected.heat_maps[:n] - heat_maps).max(axis=(1, 2, 3))
    return Parity(
        expected=scores[0],
        actual=scores[1],
        expected_probabilities=plain[0],
        actual_probabilities=plain[1],
        changed=int((called[0] != called[1]).any(axis=1).sum()),
        auc_loss=areas[0] - areas[1],
        views=views,
        heat=float(np.median(apart / np.maximum(strongest, np.finfo(np.float32).tiny))),
        distance=float(np.median(moved / np.maximum(far[0], np.finfo(np.float32).tiny))),
        crossing=_crossing(moved, called[0], called[1], rules),
        finite=finite,
        bound=BOUNDS[precision],
    )


def _called(probabilities: np.ndarray, distances: np.ndarray, rules: Rules) -> np.ndarray:
    """Status and class code of each slice, object (slices, 2); the code of a foreign one is -1."""
    status = SliceRules.of([rules] * len(distances)).statuses(probabilities, distances)
    codes = predicted_codes(probabilities, rules.threshold)
    return np.stack([status, np.where(status == "foreign", -1, codes)], axis=1)


def _crossing(moved: np.ndarray, expected: np.ndarray, actual: np.ndarray, rules: Rules) -> float:
    """See `Parity.crossing`; `moved` is by how much distances (slices,) differ."""
    if not rules.limit:
        return 0.0
    crossed = (expected[:, 0] == "foreign") != (actual[:, 0] == "foreign")
    return float(moved[crossed].max(initial=0.0) / rules.limit)


def _summing_to_one(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities that were rounded to 8 bits may be a step away from it.

    Where one is no number, or all are 0, all classes of the slice tie.
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
