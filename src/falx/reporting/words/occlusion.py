"""Border-only predictions and tumor occlusion, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from falx.evaluation.occlusion import BorderOnlyScores, OcclusionScores
from falx.reporting.formatting import count, with_interval

_CHANCE = 0.5
_SMALL_DROP = 0.1
"""A drop below this fraction of the probability with the tumor visible is small."""


def occlusion_words(
    border_only: BorderOnlyScores | None, occlusion: OcclusionScores | None
) -> Iterator[str]:
    """A sentence or two for each that was measured."""
    if border_only:
        yield f"{_border_words(border_only)} {_border_verdict(border_only)}"
    if occlusion and occlusion.n:
        yield f"{_occlusion_words(occlusion)} {_occlusion_verdict(occlusion)}"
    elif occlusion:
        yield (
            f"Tumor occlusion was not measured: in all of {count(occlusion.outlined, 'slice')} "
            "with an outlined tumor it reaches the midline, so there is no mirrored control region."
        )


def _border_words(scores: BorderOnlyScores) -> str:
    return (
        "With all but the border of each view blank (one sixteenth of its side), the AUC on "
        f"{count(scores.n, 'slice')} is {with_interval(scores.roc_auc)}; on the full slices it is "
        f"{with_interval(scores.full_roc_auc)}."
    )


def _border_verdict(scores: BorderOnlyScores) -> str:
    if math.isnan(scores.roc_auc.low):
        return "Without a confidence interval, no conclusion can be drawn."
    if scores.roc_auc.low > _CHANCE:
        return (
            "The border alone predicts the class: part of the performance may rest on how slices "
            "were collected, not on the brain."
        )
    if scores.roc_auc.high < _CHANCE:
        return (
            "Border-only predictions anti-correlate with the label: the detector is sensitive to "
            "the border."
        )
    return "The 95 % confidence interval includes 0.5: no sign that predictions rest on the border."


def _occlusion_words(scores: OcclusionScores) -> str:
    left_out = scores.outlined - scores.n
    others = f" ({count(left_out)} more reach the midline)" if left_out else ""
    return (
        f"On {count(scores.n, 'slice')} with an outlined tumor{others}, the mean probability of a "
        f"tumor is {with_interval(scores.visible)}; with the tumor inpainted it is "
        f"{with_interval(scores.tumor_occluded)}, with the mirrored region inpainted "
        f"{with_interval(scores.control_occluded)}."
    )


def _occlusion_verdict(scores: OcclusionScores) -> str:
    if math.isnan(scores.drop.low):
        return "Without a confidence interval, no conclusion can be drawn."
    if scores.drop.low > 0:
        return (
            "Occluding the tumor lowers the probability more than the control does: predictions "
            "rest at least in part on the tumor."
        )
    if scores.drop.high < _SMALL_DROP * scores.visible.value:
        return "Occluding the tumor changes little: predictions rest on something else."
    return (
        "The probability is not significantly lower with the tumor occluded than with the control."
    )
