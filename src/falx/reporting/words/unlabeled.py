"""What an adaptation without labels changed, in words."""

from __future__ import annotations

from falx.reporting.formatting import listed, percent
from falx.runs.unlabeled import UnlabeledAdaptation
from falx.training.ood import NO_OOD_THRESHOLD

_ROWS = {
    "out_of_distribution": "Rejected as out-of-distribution",
    "refer": "Referred",
    "answer": "Answered",
    "positive": "Positive, of slices not rejected",
}


def unlabeled_verdict(adaptation: UnlabeledAdaptation) -> str:
    """What was changed, and that nothing was tested."""
    changed = "Out-of-distribution detection is that of this place"
    if adaptation.is_prior_applied:
        changed += ", and the logits are moved by the estimated prior"
    return (
        f"{changed}. Without labels, nothing was tested: whether answers are better or worse than "
        "before is not known."
    )


def unlabeled_rows(adaptation: UnlabeledAdaptation) -> list[tuple[str, str, str]]:
    """Name of each fraction, before and after."""
    rejected = adaptation.rejected_by_construction
    words = f"{percent(rejected)} by construction" if rejected else "none: no OOD threshold"
    after = {key: percent(fraction) for key, fraction in adaptation.after.items()}
    after["out_of_distribution"] = words
    return [(_ROWS[key], percent(adaptation.before[key]), after[key]) for key in _ROWS]


def unlabeled_limits(adaptation: UnlabeledAdaptation) -> list[str]:
    """What can't be known without labels."""
    artifacts = (
        "Every slice here is taken for in-distribution, so that artifacts among them will no "
        "longer be rejected, and the slices of the first training may be."
    )
    unmeasured = (
        "Discrimination, calibration and coverage are not measured. With labels of five patients, "
        "falx adapt measures them."
    )
    distances = (
        "The new OOD threshold is the distance, from slices of other groups, that "
        f"{percent(adaptation.rejected_by_construction)} of these slices exceed: that fraction is "
        "set, not measured, and other slices of this place may be rejected more often."
        if adaptation.rejected_by_construction
        else f"Of these slices, {NO_OOD_THRESHOLD}."
    )
    return [artifacts, distances, _prior_words(adaptation), unmeasured]


def _prior_words(adaptation: UnlabeledAdaptation) -> str:
    """The estimated prior and its use, or why there is none."""
    if adaptation.prior is None:
        return (
            "How frequent classes are is not estimated: that takes a detector to which they are "
            f"equally frequent, and this need not be one: {adaptation.no_prior}."
        )
    prior = listed(
        [
            f"{percent(float(share))} “{name}”"
            for name, share in zip(adaptation.classes, adaptation.prior, strict=True)
        ]
    )
    use = (
        "The logits are moved by it. Thresholds are those from before, so that coverage need not "
        "hold, and every study is referred."
        if adaptation.is_prior_applied
        else "It is not used; --prior-shift moves the logits by it."
    )
    return (
        f"The estimated frequency of classes (expectation maximization) is {prior}. It is right "
        "only if nothing but these frequencies differs from training (label shift), which can't "
        f"be tested without labels. {use}"
    )
