"""The page of an adaptation: each candidate beside the detector as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from falx.evaluation.weighted_metrics import METRIC_NAMES
from falx.reporting.formatting import Cell, cell_of, count, listed
from falx.reporting.pages.rendering import write_page
from falx.reporting.words.adaptation import CANDIDATES, attempt_words, limits, verdict
from falx.reporting.words.reliability import reliability_rows
from falx.reporting.words.unlabeled import unlabeled_limits, unlabeled_rows, unlabeled_verdict

if TYPE_CHECKING:
    from pathlib import Path

    from falx.evaluation.evaluation import Evaluation
    from falx.runs.adaptation import Adaptation
    from falx.runs.unlabeled import UnlabeledAdaptation
    from falx.statistics import Estimate

_METRICS = ("roc_auc", "accuracy", "sensitivity", "specificity", "log_loss", "calibration_error")


@dataclass(frozen=True)
class Row:
    """A number, of the detector as it is and of each candidate."""

    name: str
    gloss: str
    cells: tuple[Cell, ...]


def write_adaptation_page(adaptation: Adaptation, title: str, command: str, path: Path) -> None:
    """Write the page.

    Args:
        title: such as "localized on btp".
        command: that repeats it.
    """
    found, groups = adaptation.before.predictions, adaptation.before.scores.groups
    slices = [
        f"{count(int((found.labels == code).sum()))} “{name}”"
        for code, name in enumerate(found.classes)
    ]
    write_page(
        path,
        "adaptation.html.j2",
        title=title,
        command=command,
        verdict=verdict(adaptation),
        tested=f"{count(len(found), 'slice')} of {count(groups, 'group')}: {listed(slices)}",
        attempts=[
            (each.candidate, CANDIDATES[each.candidate], attempt_words(each), each.is_taken)
            for each in adaptation.attempts
        ],
        columns=["as it is", *(each.candidate for each in adaptation.attempts)],
        taken=adaptation.taken.candidate if adaptation.taken else "as it is",
        rows=adaptation_rows(adaptation),
        limits=limits(adaptation),
    )


def write_unlabeled_page(
    adaptation: UnlabeledAdaptation, title: str, command: str, path: Path
) -> None:
    """Write the page of an adaptation without labels.

    Args:
        title: such as "localized on btp".
        command: that repeats it.
    """
    write_page(
        path,
        "unlabeled.html.j2",
        title=title,
        command=command,
        verdict=unlabeled_verdict(adaptation),
        tested=f"{count(adaptation.slices, 'slice')} of {count(adaptation.groups, 'group')}, "
        "without labels",
        rows=unlabeled_rows(adaptation),
        limits=unlabeled_limits(adaptation),
    )


def adaptation_rows(adaptation: Adaptation) -> list[Row]:
    """Every number, of the detector as it is and of each candidate, out of fold."""
    evaluations = [adaptation.before, *(each.evaluation for each in adaptation.attempts)]
    columns = [_numbers(each) for each in evaluations]
    return [
        Row(name, gloss, tuple(cell_of(column[index][2]) for column in columns))
        for index, (name, gloss, _) in enumerate(columns[0])
    ]


def _numbers(evaluation: Evaluation) -> list[tuple[str, str, Estimate]]:
    """Name, gloss and number of each row."""
    estimates = evaluation.scores.estimates
    found = [(METRIC_NAMES[name], "", estimates[name]) for name in _METRICS]
    if evaluation.levels:
        gloss = "a slice with a tumor against others of its height"
        found.insert(1, ("ROC AUC at the same level", gloss, evaluation.levels.same_level_auc))
    return found + reliability_rows(evaluation.reliability)
