"""Whether an answer can be relied on: calibration, referral, and what is foreign.

Told on slices that neither trained the network nor chose its rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from falx.detect.rules import Rules, predicted_codes, statuses
from falx.evaluation.calibrate import tempered
from falx.evaluation.intervals import Estimate, mean_interval
from falx.evaluation.metrics import Scores, score_repeats

CALIBRATION = ("log_loss", "brier", "calibration_error")


@dataclass(frozen=True)
class SliceRules:
    """The rules that each of n slices was answered by, float (n,) each; see Rules.

    The limit is infinite where there is none.
    """

    temperature: np.ndarray
    threshold: np.ndarray
    inclusion: np.ndarray
    limit: np.ndarray

    @classmethod
    def of(cls, rules: Sequence[Rules]) -> SliceRules:
        """From the rules of each slice."""
        return cls(
            temperature=np.array([each.temperature for each in rules]),
            threshold=np.array([each.threshold for each in rules]),
            inclusion=np.array([each.inclusion for each in rules]),
            limit=np.array([np.inf if each.limit is None else each.limit for each in rules]),
        )

    def statuses(self, probabilities: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """See falx.detect.rules.status_of, for n slices at once: str (n,)."""
        return statuses(probabilities, distances, self.threshold, self.inclusion, self.limit)


@dataclass(frozen=True)
class Trust:
    """What rules are worth.

    Attributes:
        error: asked for.
        coverage: share of slices whose true class stays possible; 1 - error is what was asked.
        coverage_by_class: the same for slices of each class.
        referred: share of slices to be referred, foreign ones left out.
        foreign: share of slices that are refused.
        answered: share of right labels among slices that are neither; NaN where there are none.
        before: `CALIBRATION` of probabilities as the network gave them, by name.
        after: of those that were calibrated.
        temperature: the mean over slices.
    """

    error: float
    coverage: Estimate
    coverage_by_class: dict[str, Estimate]
    referred: Estimate
    foreign: Estimate
    answered: Estimate
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    temperature: float

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        named = ("coverage", "referred", "foreign", "answered")
        return {
            "error": self.error,
            **{name: getattr(self, name).as_dict() for name in named},
            "coverage_by_class": {k: e.as_dict() for k, e in self.coverage_by_class.items()},
            "temperature": self.temperature,
            "before": {name: e.as_dict() for name, e in self.before.items()},
            "after": {name: e.as_dict() for name, e in self.after.items()},
        }


def score_trust(
    labels: np.ndarray,
    probabilities: Sequence[np.ndarray],
    distances: Sequence[np.ndarray],
    groups: np.ndarray,
    classes: Sequence[str],
    rules: Sequence[SliceRules],
    scores: Scores,
    *,
    error: float,
    raw: Sequence[np.ndarray] | None = None,
) -> Trust:
    """Score rules on n slices that were answered once or several times.

    Args:
        labels: class codes, int (n,).
        probabilities: calibrated, float (n, classes), one of each repeat.
        distances: float (n,), likewise.
        groups: int (n,).
        rules: likewise.
        scores: of these probabilities.
        error: that rules were chosen for.
        raw: probabilities before calibration; by default reckoned back from the temperatures.
    """
    if raw is None:
        raw = [tempered(p, 1 / r.temperature) for p, r in zip(probabilities, rules, strict=True)]
    repeats = len(probabilities)
    truth, group = np.tile(labels, repeats), np.tile(groups, repeats)
    given = np.concatenate(probabilities)
    each = SliceRules(*(np.concatenate([getattr(r, n) for r in rules]) for n in vars(rules[0])))
    status = each.statuses(given, np.concatenate(distances))
    covered = given[np.arange(len(truth)), truth] >= each.inclusion
    right = predicted_codes(given, each.threshold) == truth
    familiar, answered = status != "foreign", status == "answer"
    return Trust(
        error=error,
        coverage=mean_interval(covered, group),
        coverage_by_class={
            name: _mean(covered, group, truth == code) for code, name in enumerate(classes)
        },
        referred=_mean(status == "refer", group, familiar),
        foreign=mean_interval(~familiar, group),
        answered=_mean(right, group, answered),
        before=_calibration(score_repeats(labels, raw, groups, classes)),
        after=_calibration(scores),
        temperature=float(each.temperature.mean()),
    )


def _mean(values: np.ndarray, groups: np.ndarray, rows: np.ndarray) -> Estimate:
    if not rows.any():
        return Estimate(np.nan, np.nan, np.nan)
    return mean_interval(values[rows], groups[rows])


def _calibration(scores: Scores) -> dict[str, Estimate]:
    return {name: scores.estimates[name] for name in CALIBRATION}
