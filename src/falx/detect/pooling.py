"""From the findings of slices to one for their series, and from these to one for the study.

Most slices of a volume can't hold the answer: neck, skull base and vertex look unlike what
detectors are trained on, and any of them outvotes the slices that matter. So a series is pooled
over its slices between skull base and vertex, where the geometry of the volume tells which these
are (see falx.data.volumes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from falx.counting import count
from falx.detect.finding import Finding, SeriesFinding, StudyFinding
from falx.detect.rules import INCONCLUSIVE, Rules, decide, is_conclusive

MAX_UNLIKE = 0.5
"""Fraction of out-of-distribution slices, of all or of those pooled, above which a series is out of
distribution itself."""

NOT_CALIBRATED = "the detector was not calibrated on whole studies"
NO_BRAIN = "none of its slices is known to lie between skull base and vertex"


@dataclass(frozen=True)
class SeriesHeader:
    """What is known of a series besides its slices; see SeriesFinding."""

    series: str
    name: str
    plane: str = ""
    contrast: bool = False
    original: bool = True


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


def can_answer(regions: Sequence[str]) -> np.ndarray:
    """Which slices of a series are pooled: those that show brain, or all where none is known to.

    Args:
        regions: of the head, one a slice.

    Returns:
        bool (n,).
    """
    brain = np.array([region == "brain" for region in regions], bool)
    return brain if brain.any() else np.ones(len(brain), bool)


def series_finding(
    header: SeriesHeader,
    members: Sequence[Finding],
    classes: Sequence[str],
    rules: Rules,
) -> SeriesFinding:
    """The answer for a series, from the findings of its slices."""
    kept = can_answer([member.region for member in members])
    pooled = [member for member, is_kept in zip(members, kept, strict=True) if is_kept]
    like = [member for member in pooled if member.status != "out_of_distribution"]
    unlike = len(pooled) - len(like)
    counts = (len(members), len(pooled), unlike)
    about = (header.series, header.name, header.plane, header.contrast, header.original)
    n_unlike = sum(member.status == "out_of_distribution" for member in members)
    if not like or unlike > MAX_UNLIKE * len(pooled) or n_unlike > MAX_UNLIKE * len(members):
        reason = (
            f"{n_unlike} of {len(members)} slices are unlike the training slices, among them "
            f"{unlike} of the {len(pooled)} pooled"
        )
        return SeriesFinding(*about, *counts, "out_of_distribution", reason)
    table = np.array([[member.probabilities[name] for name in classes] for member in like])
    probabilities = pool(table, rules.top_fraction)
    threshold, reason = rules.threshold, rules.why_untrained(header.plane)
    study = rules.study if len(classes) == 2 else None
    if study is None:
        reason = reason or NOT_CALIBRATED
    if not any(member.region == "brain" for member in members):
        reason = reason or NO_BRAIN
    if study:
        probabilities, threshold = study.calibrated(probabilities), study.threshold
        if not is_conclusive(probabilities[None], threshold, study.conformal_threshold)[0]:
            reason = reason or INCONCLUSIVE
    label, probability = decide(probabilities, classes, threshold)
    shown = 1 if len(classes) == 2 else list(classes).index(label)
    return SeriesFinding(
        *about,
        *counts,
        status="refer" if reason else "answer",
        reason=reason,
        label=label,
        probability=probability,
        probabilities=dict(zip(classes, map(float, probabilities), strict=True)),
        strongest=like[int(np.argmax(table[:, shown]))],
    )


def study_finding(study: str, series: Sequence[SeriesFinding]) -> StudyFinding:
    """The answer for a study: that of its most suitable series.

    Series whose slices are unlike the training slices are never chosen. Of the others, one that can
    be answered comes before one that can't, an axial one before other planes, an original before a
    derived one, one with a contrast agent before one without, and then the one of most slices.
    """
    suitable = [each for each in series if each.status != "out_of_distribution"]
    if not suitable:
        reasons = sorted({each.reason for each in series})
        return StudyFinding(study, tuple(series), None, f"no suitable series: {'; '.join(reasons)}")
    chosen = min(suitable, key=_preference)
    if len(series) == 1:
        return StudyFinding(study, tuple(series), chosen, "its only series")
    traits = (
        chosen.plane or "of unknown plane",
        "original" if chosen.original else "derived",
        "with a contrast agent" if chosen.contrast else "without a named contrast agent",
        count(chosen.n_slices, "slice"),
    )
    reason = f"of {len(series)} series, {len(suitable)} suitable, the best: {', '.join(traits)}"
    return StudyFinding(study, tuple(series), chosen, reason)


def _preference(series: SeriesFinding) -> tuple[object, ...]:
    return (
        series.reason not in ("", INCONCLUSIVE, NOT_CALIBRATED),
        series.plane != "axial",
        not series.original,
        not series.contrast,
        -series.n_slices,
        series.series,
    )
