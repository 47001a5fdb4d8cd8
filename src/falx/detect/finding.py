"""Answers: what a detector says of a slice, and of a study of several slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from falx.detect.heat_map import HeatMap
from falx.detect.rules import Rules, Status, decide, status_of


@dataclass(frozen=True)
class Finding:
    """A detector's answer for one slice; a foreign one has neither label nor probabilities."""

    path: Path
    index: int
    """Frame or axial position in a file of several slices."""
    status: Status
    distance: float
    """How far the slice is from those that the network was trained on."""
    study: str = ""
    """What the slice belongs to: study or patient number, or the file of several slices."""
    label: str | None = None
    probability: float | None = None
    """Of the positive class where there are two, else of the label."""
    probabilities: dict[str, float] = field(default_factory=dict)
    heat_map: HeatMap | None = field(default=None, compare=False, repr=False)
    """Evidence for the positive class where there are two, else for the label."""


@dataclass(frozen=True)
class StudyFinding:
    """A detector's answer for several slices that belong together, foreign ones left out.

    It has no label where all of them are foreign.
    """

    study: str
    slices: int
    foreign: int
    """Those left out."""
    status: Status
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    strongest: Finding | None = None
    """The slice with the highest probability, of the positive class of two, else of the label."""


@dataclass(frozen=True)
class Unreadable:
    """A file that gave no answer, and why."""

    path: Path
    problem: str


@dataclass(frozen=True)
class Findings:
    """All answers to one question.

    Attributes:
        classes: names in order; of two, the second is the positive one.
    """

    classes: tuple[str, ...]
    slices: tuple[Finding, ...] = ()
    studies: tuple[StudyFinding, ...] = ()
    unreadable: tuple[Unreadable, ...] = field(default=())


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Class probabilities float64 (n, classes) from logits (n, 1) or (n, classes).

    One logit is that of the second, positive class against zero.
    """
    values = logits.astype(np.float64)
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return result


def evidence_for(heat_maps: np.ndarray, label: int) -> np.ndarray:
    """The evidence for a class, float32 (rows, columns), of heat maps (rows, columns, k).

    One logit is that of the positive class, whatever the label. Of several, only differences count:
    the evidence for a class is its share less the mean over the classes.
    """
    if heat_maps.shape[-1] == 1:
        return heat_maps[..., 0]
    evidence: np.ndarray = heat_maps[..., label] - heat_maps.mean(axis=-1)
    return evidence


def pool(probabilities: np.ndarray, share: float) -> np.ndarray:
    """One set of class probabilities (classes,) from those of several slices (n, classes).

    The mean over the slices least like the first, negative class: the upper `share` of them, at
    least one. A tumor shows in some slices of a volume, so the mean of all would dilute it. Where
    no class is negative, the share is 1 (see falx.evaluation.studies).
    """
    count = max(1, round(share * len(probabilities)))
    order = np.argsort(probabilities[:, 0], kind="stable")
    pooled: np.ndarray = probabilities[order[:count]].mean(axis=0)
    return pooled


def study_findings(
    findings: Iterable[Finding], classes: Sequence[str], rules: Rules
) -> tuple[StudyFinding, ...]:
    """One answer for each study with two slices or more, in order of appearance."""
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
    familiar = [member for member in members if member.status != "foreign"]
    foreign = len(members) - len(familiar)
    if not familiar:
        return StudyFinding(study, len(members), foreign, "foreign")
    table = np.array([[member.probabilities[name] for name in classes] for member in familiar])
    pooled = pool(table, rules.study_share)
    label, probability = decide(pooled, classes, rules.threshold)
    shown = 1 if len(classes) == 2 else list(classes).index(label)
    return StudyFinding(
        study=study,
        slices=len(members),
        foreign=foreign,
        status=status_of(pooled, familiar[0].distance, rules),
        label=label,
        probability=probability,
        probabilities=dict(zip(classes, map(float, pooled), strict=True)),
        strongest=familiar[int(np.argmax(table[:, shown]))],
    )
