"""What hiding the brain, or the tumor, says of a detector, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from falx.evaluation.cells import span_of
from falx.evaluation.hiding import BorderScore, HiddenTumors
from falx.evaluation.intervals import Estimate
from falx.evaluation.templates import count, number

_CHANCE = 0.5
_LITTLE = 0.1
"""Share of a tumor's probability that is little to lose."""


def hiding_words(border: BorderScore | None, hidden: HiddenTumors | None) -> Iterator[str]:
    """A sentence or two for each that was looked for."""
    if border:
        yield f"{_border_words(border)} {_border_verdict(border)}"
    if hidden and hidden.n:
        yield f"{_hidden_words(hidden)} {_hidden_verdict(hidden)}"
    elif hidden:
        yield (
            f"Tumors were not hidden: {count(hidden.of, 'slice')} with an outlined one all have it "
            "too near the middle of the head, so that there is no other side to compare it with."
        )


def _border_words(border: BorderScore) -> str:
    return (
        "With all but a frame of the view blank, a sixteenth of its side wide, the AUC on "
        f"{count(border.n, 'slice')} is {_told(border.roc_auc)}, where it is {_told(border.full)} "
        "on the same slices as they are."
    )


def _border_verdict(border: BorderScore) -> str:
    if border.roc_auc.low > _CHANCE:
        return (
            "The border alone predicts the class: part of what the detector does well may rest on "
            "how slices were collected, and not on what is in the brain."
        )
    if border.roc_auc.high < _CHANCE:
        return "The detector does heed the border, and here that speaks for the wrong class."
    return "That can't be told from chance: there is no sign that answers rest on the border."


def _hidden_words(hidden: HiddenTumors) -> str:
    left_out = hidden.of - hidden.n
    others = f" ({count(left_out)} more have it too near the middle)" if left_out else ""
    return (
        f"On {count(hidden.n, 'slice')} with an outlined tumor{others} the mean probability of one "
        f"is {_told(hidden.shown)}; with the tumor painted over it is {_told(hidden.hidden)}, and "
        f"with as much painted over at the mirrored place {_told(hidden.elsewhere)}."
    )


def _hidden_verdict(hidden: HiddenTumors) -> str:
    if hidden.lost.low > 0:
        return "That costs more than hiding another place: answers rest on the tumor, if in part."
    if hidden.lost.high < _LITTLE * hidden.shown.value:
        return "Hiding the tumor does little: answers rest on something else."
    return "Whether hiding the tumor costs more than hiding another place can't be told."


def _told(estimate: Estimate) -> str:
    span = span_of(estimate)
    return f"{number(estimate.value)} ({span})" if span else number(estimate.value)
