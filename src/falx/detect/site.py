"""The site check: whether slices differ, as a set, from those that a detector was trained on.

An operating point, an OOD threshold and the coverage of prediction sets are chosen on validation
slices, and hold for slices like these alone. Where a hospital's scanners, sequences or patients
differ, each slice may still look familiar. So sets are compared: what the views look like, how far
their features lie from those of training, and what the network says of them. Shifts that matter
show in a network's outputs as a rule (Rabanser, Guennemann and Lipton, NeurIPS 2019).

Groups, such as patients, count once (see falx.detect.permutation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from falx.detect.permutation import p_value
from falx.detect.rules import Rules
from falx.detect.site_reference import Measurements, SiteReference

FALSE_ALARM_RATE = 0.01
"""How often slices like those of training are said to differ, at most."""
MIN_SLICES = 30
MIN_GROUPS = 3
"""With fewer, even the largest difference from few training groups is not significant."""
MIN_REFERENCE_GROUPS = 20

_FAMILIES = 2
"""Inputs and outputs are tested apart, since probabilities are known of fewer training slices."""
_NAMED = 3
_MAX_DEVIATION = 4.0
"""Standard deviations to which outlying slices are drawn, so that they do not decide for all."""
_EPSILON = 1e-6

Outcome = Literal["different", "not different", "not checked"]


@dataclass(frozen=True)
class Difference:
    """A measurement of a set of slices, beside the same of training.

    Attributes:
        name: of the measurement.
        here: its mean, or a rate, over groups.
        training: the same over slices of training or validation.
        deviation: difference of the two, in standard deviations of the latter.
    """

    name: str
    here: float
    training: float
    deviation: float


@dataclass(frozen=True)
class SiteCheck:
    """Whether slices differ, as a set, from those of training.

    Attributes:
        outcome: "different" if the p-value is at most the false-alarm rate.
        slices, groups: that were compared.
        p_value: of the permutation test; None if nothing was checked.
        differences: of every measurement, the largest first.
        coverage: that was asked for, 1 - alpha.
        reason: why nothing was checked.
        false_alarm_rate: of the test.
    """

    outcome: Outcome
    slices: int
    groups: int
    p_value: float | None
    differences: tuple[Difference, ...]
    coverage: float
    reason: str = ""
    false_alarm_rate: float = FALSE_ALARM_RATE

    def as_dict(self) -> dict[str, Any]:
        """All of it, with the outcome in words, ready for JSON."""
        content = {**asdict(self), "sentence": self.sentence}
        # Distances may be infinite, and JSON has no such number.
        return {
            **content,
            "differences": [
                {name: _finite(value) for name, value in asdict(each).items()}
                for each in self.differences
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SiteCheck:
        """Read what `as_dict` gave."""
        known = {each.name: content[each.name] for each in fields(cls)}
        return cls(**{**known, "differences": tuple(map(_difference, content["differences"]))})

    @property
    def is_different(self) -> bool:
        """Whether the set differs."""
        return self.outcome == "different"

    @property
    def sentence(self) -> str:
        """The outcome in plain words."""
        slices = f"these {self.slices} slices"
        if self.p_value is None:
            return (
                f"Whether {slices} differ, as a set, from the training slices was not checked: "
                f"{self.reason}."
            )
        opening, p = f"As a set, {slices} ({self.groups} groups)", _p_words(self.p_value)
        if not self.is_different:
            return (
                f"{opening} were not found to differ from the training slices ({p}); a small "
                "difference may go unnoticed."
            )
        most = "; ".join(map(_in_words, self.differences[:_NAMED]))
        return (
            f"{opening} differ from the training slices ({p}, false-alarm rate "
            f"{_percent(self.false_alarm_rate)}), most in {most}. The operating point, the OOD "
            f"threshold and the {_percent(self.coverage)} coverage were chosen on slices like "
            "those of training and need not hold here."
        )


def check_site(
    reference: SiteReference | None,
    measurements: Measurements,
    groups: np.ndarray,
    rules: Rules,
    classes: Sequence[str],
) -> SiteCheck:
    """Compare slices with those of training, group by group.

    Args:
        reference: of the detector; None where it has none.
        measurements: of the slices, n of them.
        groups: of each, such as a patient, a study or a file, int (n,).
        rules: of the detector; its thresholds decide what is referred and rejected.
        classes: of the detector.
    """
    n_groups, coverage = len(np.unique(groups)), 1 - rules.alpha
    reason = _why_not(reference, len(measurements), n_groups)
    if reference is None or reason:
        return SiteCheck("not checked", len(measurements), n_groups, None, (), coverage, reason)
    trained = reference.measurements
    validation = trained.take(np.isfinite(trained.probabilities).all(axis=1))
    families = [_compare(trained.of_inputs(rules), measurements.of_inputs(rules), groups)]
    if len(validation) > 1:
        there, here = (each.of_outputs(rules, classes) for each in (validation, measurements))
        families.append(_compare(there, here, groups))
    p = min(1.0, _FAMILIES * min(family.p_value for family in families))
    differences = [each for family in families for each in family.differences]
    return SiteCheck(
        "different" if p <= FALSE_ALARM_RATE else "not different",
        len(measurements),
        n_groups,
        p,
        tuple(sorted(differences, key=lambda each: -abs(each.deviation))),
        coverage,
    )


def _why_not(reference: SiteReference | None, slices: int, groups: int) -> str:
    if slices < MIN_SLICES:
        return f"that takes at least {MIN_SLICES} slices"
    if groups < MIN_GROUPS:
        of = "one patient, study or file" if groups == 1 else f"{groups} patients, studies or files"
        return f"they are of {of}, and at least {MIN_GROUPS} are needed"
    if reference is None:
        return "the detector keeps no measurements of its training slices; train or adapt it anew"
    if len(reference.measurements) < MIN_REFERENCE_GROUPS:
        return (
            f"the detector keeps slices of {len(reference.measurements)} groups to compare with, "
            f"and at least {MIN_REFERENCE_GROUPS} are needed"
        )
    return ""


@dataclass(frozen=True)
class _Family:
    """Measurements that are compared at once."""

    p_value: float
    differences: list[Difference]


def _compare(
    trained: Mapping[str, np.ndarray], tested: Mapping[str, np.ndarray], groups: np.ndarray
) -> _Family:
    """Compare measurements of training slices, of a group each, with those of others."""
    codes = np.unique(groups, return_inverse=True)[1]
    tested_values, trained_values, differences = [], [], []
    for name, values in trained.items():
        there, here = values.astype(np.float64), tested[name].astype(np.float64)
        center, scale = _location(there)
        tested_values.append(_clipped(here, center, scale))
        trained_values.append(_clipped(there, center, scale))
        differences.append(
            Difference(
                name,
                float(_group_means(here, codes).mean()),
                float(there.mean()),
                float(_group_means(tested_values[-1], codes).mean() - trained_values[-1].mean()),
            )
        )
    p = p_value(np.column_stack(tested_values), groups, np.column_stack(trained_values))
    return _Family(p, differences)


def _location(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of finite values."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()), max(float(finite.std()), _EPSILON)


def _clipped(values: np.ndarray, center: float, scale: float) -> np.ndarray:
    return np.clip((values - center) / scale, -_MAX_DEVIATION, _MAX_DEVIATION)


def _group_means(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.bincount(codes, values) / np.bincount(codes)


def _difference(content: Mapping[str, Any]) -> Difference:
    """Read what `SiteCheck.as_dict` has of a difference, whose infinite numbers are null."""
    values: dict[str, Any] = {
        name: math.inf if value is None else value for name, value in content.items()
    }
    return Difference(**values)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _in_words(difference: Difference) -> str:
    here, training = difference.here, difference.training
    if difference.name.endswith("rate"):
        return f"{difference.name} ({_percent(here)}, in training {_percent(training)})"
    return f"{difference.name} ({here:.3g}, in training {training:.3g})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"
