"""From probabilities to an answer: which label, whether to refer, and whether it is a brain slice.

A slice is *foreign* where it lies further from what the network was trained on than a limit, and
then has no answer. It is to be *referred* where the label is not the one class that stays possible
at the error asked for (split conformal prediction; see falx.evaluation.calibrate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Status = Literal["answer", "refer", "foreign"]
"""Whether a label can be relied on at the error asked for, or a person must look, or there is no
label since the image is like nothing that the network was trained on."""


@dataclass(frozen=True)
class Rules:
    """What a detector's probabilities and distances are held to; chosen on validation slices.

    Attributes:
        threshold: least probability of the positive class, the second of two, that is called so.
        operating_point: what the threshold was chosen for (see
            falx.evaluation.calibrate.operating_threshold).
        temperature: what logits were divided by to calibrate them; the network holds it already.
        error: share of slices whose true class may be held impossible.
        inclusion: least probability with which a class stays possible at that error.
        limit: largest distance of a slice that is not foreign; None for no limit.
        study_share: see falx.detect.finding.pool.
    """

    threshold: float = 0.5
    operating_point: str = "0.5"
    temperature: float = 1.0
    error: float = 0.1
    inclusion: float = 0.5
    limit: float | None = None
    study_share: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.threshold, self.error, self.inclusion, self.study_share)
        if not (all(0 <= share <= 1 for share in shares) and self.temperature > 0):
            raise ValueError("a rule is out of range")


def decide(
    probabilities: np.ndarray, classes: Sequence[str], threshold: float
) -> tuple[str, float]:
    """The label of class probabilities (classes,), and the probability to show beside it."""
    code = int(predicted_codes(probabilities[None], threshold)[0])
    shown = 1 if len(classes) == 2 else code
    return classes[code], float(probabilities[shown])


def predicted_codes(probabilities: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """The label of each row of probabilities (n, classes), as `decide` gives it: int (n,)."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(np.int64)
    return probabilities.argmax(axis=1)


def is_sure(
    probabilities: np.ndarray, threshold: float | np.ndarray, inclusion: float | np.ndarray
) -> np.ndarray:
    """Whether the label is the one possible class of probabilities (n, classes): bool (n,)."""
    possible = probabilities >= np.reshape(inclusion, (-1, 1))
    labels = predicted_codes(probabilities, threshold)
    sure: np.ndarray = (possible.sum(axis=1) == 1) & possible[np.arange(len(labels)), labels]
    return sure


def statuses(
    probabilities: np.ndarray,
    distances: np.ndarray,
    threshold: float | np.ndarray,
    inclusion: float | np.ndarray,
    limit: float | np.ndarray,
) -> np.ndarray:
    """What is to be made of slices with probabilities (n, classes) and distances (n,): str (n,).

    Args:
        limit: infinite for none.
    """
    # What is no number is beyond any limit.
    foreign = ~(distances <= limit) & np.isfinite(limit)
    sure = is_sure(probabilities, threshold, inclusion)
    return np.select([foreign, ~sure], ["foreign", "refer"], "answer").astype(object)


def status_of(probabilities: np.ndarray, distance: float, rules: Rules) -> Status:
    """The same for one slice with probabilities (classes,)."""
    limit = np.inf if rules.limit is None else rules.limit
    found: Status = statuses(
        probabilities[None], np.array([distance]), rules.threshold, rules.inclusion, limit
    )[0]
    return found
