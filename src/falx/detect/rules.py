"""From probabilities to a label and a status: answer, refer, or out of distribution.

A slice is *out of distribution* if its Mahalanobis distance from the training slices exceeds a
threshold, and then has no label. It is *referred* unless its prediction set at the miscoverage
alpha is its label alone (split conformal prediction; see falx.evaluation.calibration).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Status = Literal["answer", "refer", "out_of_distribution"]
"""The prediction set is the label alone; or it is not, so a person should read the slice; or there
is no label, since the image is unlike the training slices."""

INCONCLUSIVE = "the prediction set is not one class"
UNLIKE = "it is unlike the training slices"
REASONS: Mapping[Status, str] = {
    "answer": "",
    "refer": INCONCLUSIVE,
    "out_of_distribution": UNLIKE,
}
"""Why a slice has its status, where nothing else is the reason."""


@dataclass(frozen=True)
class StudyRules:
    """What turns the pooled probability of a study's slices into an answer, of two classes.

    Attributes:
        slope, intercept: of Platt scaling (Platt, 1999), applied to the logit of the pooled
            probability.
        threshold: operating point.
        conformal_threshold: lowest probability of a class in a prediction set.
        n: studies that these were chosen on.
    """

    slope: float
    intercept: float
    threshold: float
    conformal_threshold: float
    n: int

    def calibrated(self, pooled: np.ndarray) -> np.ndarray:
        """Class probabilities (..., 2) of studies from pooled ones (..., 2)."""
        inside = np.clip(pooled[..., 1], 1e-6, 1 - 1e-6)
        logit = self.slope * np.log(inside / (1 - inside)) + self.intercept
        positive = 1 / (1 + np.exp(-logit))
        return np.stack([1 - positive, positive], axis=-1)


@dataclass(frozen=True)
class Rules:
    """Thresholds for a detector's probabilities and distances, chosen on validation slices.

    Attributes:
        threshold: operating point: the lowest probability of the positive class, the second of two,
            at which a slice is labeled positive.
        operating_point: the criterion that the threshold was chosen by (see
            falx.evaluation.calibration.operating_threshold).
        temperature: of temperature scaling; already part of the network.
        alpha: conformal miscoverage, [0, 1].
        conformal_threshold: lowest probability of a class in a prediction set.
        ood_threshold: largest distance that is not out of distribution; None for no threshold.
        top_fraction: of a study's slices whose mean is the study's probability (see
            falx.detect.pooling.pool).
        study: rules for whole studies; None where too few studies were at hand to choose them, so
            that every study is referred.
        planes: of the training slices, as far as their files said.
    """

    threshold: float = 0.5
    operating_point: str = "0.5"
    temperature: float = 1.0
    alpha: float = 0.1
    conformal_threshold: float = 0.5
    ood_threshold: float | None = None
    top_fraction: float = 0.1
    study: StudyRules | None = None
    planes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("threshold", "alpha", "conformal_threshold", "top_fraction"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"`{name}` must be in [0, 1], got {value}")
        if not self.temperature > 0:
            raise ValueError(f"`temperature` must be positive, got {self.temperature}")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Rules:
        """From the values that dataclasses.asdict gives, or JSON made of them."""
        study = content["study"]
        planes = tuple(content["planes"])
        return cls(**{**content, "study": study and StudyRules(**study), "planes": planes})

    def why_untrained(self, plane: str) -> str:
        """Why slices of a plane can't be answered for, or "".

        Where the training data named no plane, only axial slices and those of unknown plane are.
        """
        if plane in ("", *(self.planes or ("axial",))):
            return ""
        if not self.planes:
            return f"its slices are {plane}, and the training data did not say that they held such"
        return f"its slices are {plane}, and those of the training data {' or '.join(self.planes)}"


def decide(
    probabilities: np.ndarray, classes: Sequence[str], threshold: float
) -> tuple[str, float]:
    """The label of class probabilities (classes,), and the probability to show beside it."""
    code = int(predicted_codes(probabilities[None], threshold)[0])
    shown = 1 if len(classes) == 2 else code
    return classes[code], float(probabilities[shown])


def predicted_codes(probabilities: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """The code of the label of each row of probabilities (n, classes): int (n,)."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(np.int64)
    return probabilities.argmax(axis=1)


def is_conclusive(
    probabilities: np.ndarray,
    threshold: float | np.ndarray,
    conformal_threshold: float | np.ndarray,
) -> np.ndarray:
    """Whether the prediction set of probabilities (n, classes) is the label alone: bool (n,)."""
    prediction_sets = probabilities >= np.reshape(conformal_threshold, (-1, 1))
    codes = predicted_codes(probabilities, threshold)
    has_label = prediction_sets[np.arange(len(codes)), codes]
    conclusive: np.ndarray = (prediction_sets.sum(axis=1) == 1) & has_label
    return conclusive


def statuses(
    probabilities: np.ndarray,
    distances: np.ndarray,
    threshold: float | np.ndarray,
    conformal_threshold: float | np.ndarray,
    ood_threshold: float | np.ndarray,
) -> np.ndarray:
    """The status of slices with probabilities (n, classes) and distances (n,): str (n,).

    Args:
        ood_threshold: infinite for none.
    """
    # NaN exceeds any threshold.
    out_of_distribution = ~(distances <= ood_threshold) & np.isfinite(ood_threshold)
    conclusive = is_conclusive(probabilities, threshold, conformal_threshold)
    return np.select(
        [out_of_distribution, ~conclusive], ["out_of_distribution", "refer"], "answer"
    ).astype(object)


def status_of(probabilities: np.ndarray, distance: float, rules: Rules) -> Status:
    """The status of one slice with probabilities (classes,)."""
    ood_threshold = np.inf if rules.ood_threshold is None else rules.ood_threshold
    status: Status = statuses(
        probabilities[None],
        np.array([distance]),
        rules.threshold,
        rules.conformal_threshold,
        ood_threshold,
    )[0]
    return status
