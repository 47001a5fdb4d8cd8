"""What hiding the brain, or the tumor, says of a detector, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from falx.evaluation.cells import span_of
from falx.evaluation.hiding import BorderScore, HiddenTumors
from falx.evaluation.intervals import Estimate
from falx.evaluation.templates import count, number

_HALF = 0.5


def hiding_words(border: BorderScore | None, hidden: HiddenTumors | None) -> Iterator[str]:
    """A sentence or two for each that was looked for."""
    if border:
        yield f"{_border_words(border)} {_border_verdict(border)}"
    if hidden:
        yield f"{_hidden_words(hidden)} {_hidden_verdict(hidden)}"


def _border_words(border: BorderScore) -> str:
    return (
        "With the brain blanked out, so that only the head's rim and what surrounds it are left, "
        f"the AUC is {_told(border.roc_auc)}, where it is {_told(border.full)} on slices as they "
        "are."
    )


def _border_verdict(border: BorderScore) -> str:
    if border.telling:
        return (
            "The border alone predicts the class: part of what the detector does well may rest on "
            "how slices were collected, and not on what is in the brain."
        )
    if border.roc_auc.high < _HALF:
        return "The border alone speaks for the wrong class, so answers do not rest on it."
    return "That can't be told from chance: there is no sign that answers rest on the border."


def _hidden_words(hidden: HiddenTumors) -> str:
    return (
        f"On {count(hidden.n, 'slice')} with an outlined tumor the mean probability of one is "
        f"{_told(hidden.shown)}; with the tumor painted over it is {_told(hidden.hidden)}, and "
        f"with as much painted over at the mirrored place {_told(hidden.elsewhere)}."
    )


def _hidden_verdict(hidden: HiddenTumors) -> str:
    if math.isnan(hidden.lost.low):
        return "Too few to say more."
    if hidden.lost.low > 0:
        return "That costs more than hiding another place: answers rest on the tumor, if in part."
    return (
        "Hiding the tumor does no more than hiding another place: answers rest on something else."
    )


def _told(estimate: Estimate) -> str:
    span = span_of(estimate)
    return f"{number(estimate.value)} ({span})" if span else number(estimate.value)
