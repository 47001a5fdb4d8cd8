"""The files of a run folder beside its detector: tables, numbers, figures and the report."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx.data.audit import audit
from falx.data.split import split_table
from falx.evaluation.metrics import Scores
from falx.evaluation.report import Report
from falx.evaluation.report_page import write_report
from falx.evaluation.results import (
    Results,
    count_parts,
    draw_comparison,
    draw_figures,
    draw_training,
    write_results,
)
from falx.evaluation.trust import Trust
from falx.runfolder import final_path
from falx.verbs.plan import Plan


@dataclass(frozen=True)
class Outcome:
    """What one training gave.

    Attributes:
        results: on validation and test.
        scores: on test.
        trust: likewise.
        studies: the same a study, ready for JSON, or None where there are no studies.
        history: see falx.training.fit.Trainer.train.
        seconds: that training took.
        fed: some of the views that training was fed, uint8 (size, size).
        parameters: of the network.
        twins: test slices with a twin in training.
        without_twins: scores on the others, or None where there are no twins or too few others.
    """

    results: Results
    scores: Scores
    trust: Trust
    studies: dict[str, Any] | None
    history: pd.DataFrame
    seconds: float
    fed: list[np.ndarray]
    parameters: int
    twins: int
    without_twins: Scores | None

    def as_dict(self) -> dict[str, Any]:
        """Scores, and what is left of them without twins; ready for JSON."""
        rest = {"without_twins": self.without_twins.as_dict()} if self.without_twins else {}
        return {"twins": self.twins, **self.scores.as_dict(), **rest}


def write_run(folder: Path, plan: Plan, outcome: Outcome, blind: Outcome | None) -> None:
    """Write everything that a run keeps, but for the detector, which is there.

    Args:
        blind: what the same training gave on a random split, where asked for.
    """
    command = f"{plan.command} --show-leak" if blind else plan.command
    about = plan.basis.environment(command, outcome.seconds)
    (folder / "recipe.yaml").write_text(plan.basis.recipe.to_yaml(), "utf-8")
    plan.basis.save_catalogs(folder)
    split_table(plan.basis.usable.table, plan.split).to_csv(folder / "split.csv", index=False)
    outcome.history.to_csv(folder / "history.csv", index=False)
    (folder / "environment.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    write_results(
        folder,
        outcome.results,
        outcome.scores,
        outcome.trust,
        twins=outcome.twins,
        studies=outcome.studies,
        without_twins=outcome.without_twins.as_dict() if outcome.without_twins else None,
        random_split=blind.as_dict() if blind else None,
    )
    _write_report(folder, plan, outcome, blind, about)


def next_steps(run: Path) -> tuple[tuple[str, str], ...]:
    """What one does with a run, and the commands for it."""
    quoted = shlex.quote(str(run))
    return (
        ("Read the report", f"{quoted}/report.html"),
        ("Classify images", f"falx predict {quoted} IMAGE..."),
        ("Test on other data", f"falx evaluate {quoted} DATA"),
        ("Write a model card", f"falx card {quoted}"),
    )


def _write_report(
    folder: Path, plan: Plan, outcome: Outcome, blind: Outcome | None, about: dict[str, Any]
) -> None:
    test = outcome.results.part("test")
    figures = draw_figures(folder / "figures", test, outcome.scores)
    figures += draw_training(folder / "figures", outcome.history, outcome.fed)
    if blind:
        compared = {"this split": outcome.scores, "random split": blind.scores}
        if blind.without_twins:
            compared["random, without twins"] = blind.without_twins
        figures += draw_comparison(folder / "figures", compared)
    report = Report(
        title=plan.basis.title,
        audit=audit(plan.basis.catalog),
        recipe=plan.basis.recipe,
        scores=outcome.scores,
        trust=outcome.trust,
        split=plan.split_name,
        parts=count_parts(plan.basis.usable, plan.split),
        twins=outcome.twins,
        without_twins=outcome.without_twins,
        blind=blind.scores if blind else None,
        blind_twins=blind.twins if blind else 0,
        blind_without_twins=blind.without_twins if blind else None,
        figures=figures,
        errors=test.mistakes(),
        parameters=outcome.parameters,
        seconds=about["training_seconds"],
        environment=about,
        command=about["command"],
        next_steps=next_steps(final_path(folder))[1:],
        study=outcome.studies,
    )
    write_report(report, folder / "report.html")
