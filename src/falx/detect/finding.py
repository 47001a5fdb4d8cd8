"""Findings: a detector's answers for slices, and for studies of several slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from falx.detect.heat_map import HeatMap
from falx.detect.rules import Rules, Status, decide, status_of


@dataclass(frozen=True)
class Finding:
    """A detector's answer for a slice; out of distribution, it has no label or probabilities."""

    path: Path
    index: int
    """Frame of a multi-frame file, or axial position in a volume, from 0."""
    status: Status
    distance: float
    """Mahalanobis distance from the training slices."""
    study: str = ""
    """What the slice belongs to: a study UID, a patient ID, or a file of several slices."""
    label: str | None = None
    probability: float | None = None
    """Of the positive class of two, else of the label."""
    probabilities: dict[str, float] = field(default_factory=dict)
    heat_map: HeatMap | None = field(default=None, compare=False, repr=False)
    """Evidence for the positive class of two, else for the label."""


@dataclass(frozen=True)
class StudyFinding:
    """A detector's answer for a study, without its out-of-distribution slices.

    It has no label if all slices are out of distribution.
    """

    study: str
    n_slices: int
    n_out_of_distribution: int
    status: Status
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    strongest: Finding | None = None
    """The slice with the highest probability, of the positive class of two, else of the label."""


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read, and why."""

    path: Path
    problem: str


@dataclass(frozen=True)
class Findings:
    """All findings for a set of files.

    Attributes:
        classes: names in order; of two, the second is the positive one.
    """

    classes: tuple[str, ...]
    slices: tuple[Finding, ...] = ()
    studies: tuple[StudyFinding, ...] = ()
    unreadable: tuple[Unreadable, ...] = field(default=())


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Class probabilities float64 (n, classes) from logits (n, 1) or (n, classes).

    A single logit is that of the second, positive class; the other class has the logit 0.
    """
    values = logits.astype(np.float64)
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return result


def evidence_for(heat_maps: np.ndarray, label: int) -> np.ndarray:
    """The evidence for a class, float32 (rows, columns), from heat maps (rows, columns, k).

    With one logit, the evidence is for the positive class, whatever the label. Of several, only
    differences matter: the evidence for a class is its contribution less the mean over classes.
    """
    if heat_maps.shape[-1] == 1:
        return heat_maps[..., 0]
    evidence: np.ndarray = heat_maps[..., label] - heat_maps.mean(axis=-1)
    return evidence


def pool(probabilities: np.ndarray, top_fraction: float) -> np.ndarray:
    """Class probabilities (classes,) of a study from those of its slices (n, classes).

    The mean over the `top_fraction` of slices, at least one, with the lowest probability of the
    first, negative class. A tumor shows in some slices of a volume, so the mean of all would dilute
    it. Without a negative class, the fraction is 1 (see falx.evaluation.studies).
    """
    count = max(1, round(top_fraction * len(probabilities)))
    order = np.argsort(probabilities[:, 0], kind="stable")
    pooled: np.ndarray = probabilities[order[:count]].mean(axis=0)
    return pooled


def study_findings(
    findings: Iterable[Finding], classes: Sequence[str], rules: Rules
) -> tuple[StudyFinding, ...]:
    """The findings of studies with two slices or more, in order of appearance."""
    studies: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.study:
            studies.setdefault(finding.study, []).append(finding)
    return tuple(
        _study_finding(study, members, classes, rules)
        for study, members in studies.items()
        if len(members) > 1
    )


def _study_finding(
    study: str, members: Sequence[Finding], classes: Sequence[str], rules: Rules
) -> StudyFinding:
    in_distribution = [member for member in members if member.status != "out_of_distribution"]
    n_out_of_distribution = len(members) - len(in_distribution)
    if not in_distribution:
        return StudyFinding(study, len(members), n_out_of_distribution, "out_of_distribution")
    table = np.array(
        [[member.probabilities[name] for name in classes] for member in in_distribution]
    )
    pooled = pool(table, rules.top_fraction)
    label, probability = decide(pooled, classes, rules.threshold)
    shown = 1 if len(classes) == 2 else list(classes).index(label)
    return StudyFinding(
        study=study,
        n_slices=len(members),
        n_out_of_distribution=n_out_of_distribution,
        status=status_of(pooled, in_distribution[0].distance, rules),
        label=label,
        probability=probability,
        probabilities=dict(zip(classes, map(float, pooled), strict=True)),
        strongest=in_distribution[int(np.argmax(table[:, shown]))],
    )
