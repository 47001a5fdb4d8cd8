"""What an adaptation gained, in words."""

from __future__ import annotations

import numpy as np

from falx.reporting.formatting import count, number, percent, signed
from falx.runs.adaptation import SIGNIFICANCE, Adaptation, Attempt
from falx.statistics import MIN_GROUPS

CANDIDATES = {
    "rules": "slope and intercept of the logit (Platt scaling), decision and conformal threshold, "
    "Mahalanobis reference and OOD threshold, rules for studies",
    "wide": "the same, with a prior ten times as wide for slope and intercept",
    "map": "the last layer of the localization head (of cells), with the old weights as prior, and "
    "slope and intercept; then the same rules",
    "head": "every weight of the head, with the old ones as prior; then the same rules",
}
"""What each candidate changes."""


USELESS = (
    " That is still no better than giving every slice the fraction of each class: do not use this "
    "detector here, and train one on data that are more alike."
)


def verdict(adaptation: Adaptation) -> str:
    """Whether the detector was adapted, and why, in a sentence or two."""
    groups = adaptation.before.scores.groups
    among = f"on patients that it was not adapted to ({count(groups, 'group')})"
    taken = adaptation.taken
    if taken is None:
        reasons = " and ".join(f"“{each.candidate}” {_p(each)}" for each in adaptation.attempts)
        return (
            f"No candidate has a significantly lower log loss {among}: {reasons}. The detector "
            "stays as it is, and no new one was written; label more patients and try again."
        )
    losses = [
        number(each.scores.estimates["log_loss"].value)
        for each in (adaptation.before, taken.evaluation)
    ]
    sentence = (
        f"Adapted by “{taken.candidate}”: {among}, log loss fell from {losses[0]} to {losses[1]} "
        f"{_p(taken)}."
    )
    return sentence + (USELESS if is_useless(taken) else "")


def is_useless(attempt: Attempt) -> bool:
    """Whether its log loss is no lower than that of the fraction of each class, for every slice."""
    found = attempt.evaluation
    fractions = np.bincount(found.predictions.labels) / len(found.predictions)
    known = fractions[fractions > 0]
    baseline = -float((known * np.log(known)).sum())
    return found.scores.estimates["log_loss"].value >= baseline


def attempt_words(attempt: Attempt) -> str:
    """What became of a candidate."""
    outcome = "taken" if attempt.is_taken else "not taken"
    return f"gain {signed(attempt.gain)} {_p(attempt)}: {outcome}"


def limits(adaptation: Adaptation) -> list[str]:
    """How far the numbers can be trusted."""
    groups, attempts = adaptation.before.scores.groups, len(adaptation.attempts)
    tested = (
        "Each slice was tested by what was fitted to slices of other groups alone, in up to five "
        "folds. The detector that is written is fitted to all of them."
    )
    chosen = (
        "A candidate is taken if the mean over groups of its gain in log loss is above 0 at p = "
        f"{SIGNIFICANCE} by a one-sided sign-flip test, against the best before it. "
        f"{count(attempts, 'test was', 'tests were')} made, so with no true gain at all one is "
        f"taken in at most {percent(SIGNIFICANCE * attempts)} of such data."
    )
    optimism = "Numbers of a candidate that was taken are a little optimistic: they also chose it."
    found = [tested, chosen, optimism]
    if groups < MIN_GROUPS:
        found.append(
            f"Of fewer than {MIN_GROUPS} groups, resampling gives no interval that can be relied "
            "on, so most numbers stand without one."
        )
    return found


def _p(attempt: Attempt) -> str:
    return f"(p = {number(attempt.p)})"
