"""`card`: a model card of a run, from what the run folder holds; the data may be gone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.data.audit import audit
from falx.data.split import twins_in_training
from falx.errors import BadInput
from falx.evaluation.card import Card, model_card
from falx.evaluation.document import write_document
from falx.evaluation.folds import OutOfFold
from falx.evaluation.report import Report
from falx.evaluation.results import count_parts
from falx.evaluation.subgroups import Factor, score_subgroups
from falx.verbs.saved_run import SavedRun, load_run

NAME = "card"


@dataclass(frozen=True)
class Carded:
    """What `card` hands back: the files, which say the same."""

    markdown: Path
    html: Path


def card(run: str | Path, *, out: str | Path | None = None) -> Carded:
    """Write card.md and card.html; a card that was filled in by hand is not replaced.

    Args:
        run: the folder of a training or of a cross-validation.
        out: the folder to write into, made if it is not there; by default the run folder.

    Raises:
        BrokenRun: the run folder is neither, or damaged.
        BadInput: `out` is a file, or holds a card that says something else.
    """
    found = load_run(Path(run))
    folder = Path(out) if out else found.folder
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"'{folder}' is a file; name a folder with --out.")
    written = write_document(model_card(card_of(found)), folder, NAME)
    return Carded(*written)


def card_of(run: SavedRun) -> Card:
    """What a run gives a card to tell."""
    tested = run.tested
    return Card(
        report=_report(run),
        recipe=run.recipe,
        factors=_factors(run),
        rules=tested.usual_rules if isinstance(tested, OutOfFold) else tested.rules,
        settings=run.settings,
        made=run.made,
    )


def _report(run: SavedRun) -> Report:
    """The run's report, but for figures and next steps."""
    tested, environment = run.tested, run.environment
    usable, scores = run.catalog.usable(), tested.scores()
    twins = twins_in_training(run.split, usable.groups) if run.split else None
    rest = None if isinstance(tested, OutOfFold) or twins is None else tested.scores_without(twins)
    return Report(
        title=f"{run.recipe.name} on {environment['data']['name']}",
        audit=audit(run.catalog),
        recipe=run.recipe,
        scores=scores,
        trust=tested.trust(scores),
        split=run.split_name,
        parts=count_parts(usable, run.split) if run.split else (),
        twins=0 if twins is None else int(twins.sum()),
        without_twins=rest,
        figures=(),
        errors=tested.mistakes(),
        study=_study_scores(run),
        parameters=run.parameters,
        seconds=environment["training_seconds"],
        environment=environment,
        command=environment["command"],
        next_steps=(),
        folds=tested.by_fold if isinstance(tested, OutOfFold) else (),
    )


def _study_scores(run: SavedRun) -> dict[str, Any] | None:
    if isinstance(run.tested, OutOfFold) or run.settings is None:
        return None
    return run.tested.study_scores()


def _factors(run: SavedRun) -> tuple[Factor, ...]:
    tested = run.tested
    if isinstance(tested, OutOfFold):
        usable = tested.usable
        return score_subgroups(
            usable.table, usable.labels, list(tested.probabilities), usable.classes,
            threshold=tested.thresholds,
        )  # fmt: skip
    return score_subgroups(
        tested.table,
        tested.labels,
        [tested.probabilities],
        tested.classes,
        threshold=[np.full(len(tested.labels), tested.threshold)],
    )
