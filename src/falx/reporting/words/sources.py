"""Numbers by source as rows of a table, and what to make of them, in words."""

from __future__ import annotations

from collections.abc import Iterator

from falx.evaluation.evaluation import Evaluation
from falx.evaluation.weighted_metrics import METRIC_NAMES
from falx.reporting.formatting import count, listed
from falx.runs.run import Run
from falx.statistics import MIN_GROUPS, Estimate

_NAMES = {
    "coverage": "Coverage",
    "out_of_distribution": "Out-of-distribution",
    "referred": "Referred",
}


def source_columns(evaluation: Evaluation) -> tuple[str, ...]:
    """Names of the measures of a source, in order."""
    return tuple(_name(key) for key in evaluation.by_source[0].estimates)


def source_rows(evaluation: Evaluation) -> Iterator[tuple[str, int, int, tuple[Estimate, ...]]]:
    """Source, slices, groups and measures of each of several datasets."""
    for each in evaluation.by_source:
        scores = each.scores
        yield each.source, scores.n, scores.groups, tuple(each.estimates.values())


def source_words(run: Run) -> list[str]:
    """By which networks each source was tested, what they share, and what can't be scored."""
    sources = run.evaluation.by_source
    if not sources:
        return []
    left_out = is_left_out(run)
    words = [
        "Each was tested by networks trained on the others, and not on slices that share a group "
        "with one of its."
        if left_out
        else "All were trained on together; a source that is new to a detector can do worse, as "
        "falx crossval --leave-one-source-out shows."
    ]
    related = [
        f"{count(each.related, 'slice')} when “{each.source}” was tested"
        for each in sources
        if left_out and each.related
    ]
    if related:
        words.append(f"Left out of training were {listed(related)}.")
    for each in sources:
        few = [
            f"{count(n, 'group')} of “{label}”"
            for label, n in each.unrelated_groups.items()
            if n < MIN_GROUPS
        ]
        if left_out and few:
            words.append(
                f"Too few were left for training and validation when “{each.source}” was tested, "
                f"{listed(few)}: its numbers say little about the recipe."
            )
    words += [
        f"“{each.source}” has slices of “{held[0]}” only, so its AUC is undefined."
        for each in sources
        if len(held := [name for name, n in each.scores.support.items() if n]) == 1
    ]
    return words


def is_left_out(run: Run) -> bool:
    """Whether each source was tested by networks that saw none of it."""
    return bool(run.record.options.get("leave_one_source_out"))


def _name(key: str) -> str:
    return METRIC_NAMES.get(key) or _NAMES[key]
