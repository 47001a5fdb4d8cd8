"""`crossval`: every slice of a dataset tested by networks that never saw it or its group."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx import defaults
from falx.data.audit import audit
from falx.data.label_check import LabelCheck
from falx.detect.rules import Rules
from falx.evaluation.calibrate import calibrate, tempered
from falx.evaluation.folds import OutOfFold
from falx.evaluation.metrics import Scores
from falx.evaluation.report import Figure, Report
from falx.evaluation.report_page import write_report
from falx.evaluation.results import draw_doubts, draw_figures, draw_repeated
from falx.evaluation.trust import Trust
from falx.logs import logged_to
from falx.progress import Listener, Progress, silent
from falx.recipe import Precision, Recipe
from falx.runfolder import CHECKPOINTS, final_path, run_folder
from falx.training.crossval import Fold, FoldResult, make_folds, train_folds
from falx.training.reference import NO_LIMIT
from falx.training.setup import open_shelf
from falx.training.views import render_views
from falx.verbs.basis import Basis, find_basis, run_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crossvalidated:
    """What `crossval` hands back.

    Attributes:
        folder: the run folder, whole; it holds no detector.
        counts: usable slices of each class.
        scores: over all slices, with intervals over groups and repeats.
        trust: what calibration, referral and refusal are worth, each fold's rules chosen on its
            validation slices.
        probabilities: out of fold and calibrated, float64 (repeats, n, classes), in the order of
            the catalog's slices without problems.
        train_command: the command line that trains a detector by the same recipe.
        label_check: which labels the networks doubt.
        pretraining: what environment.json says of it, where asked for.
    """

    folder: Path
    counts: dict[str, int]
    scores: Scores
    trust: Trust
    probabilities: np.ndarray
    train_command: str
    label_check: LabelCheck
    pretraining: dict[str, Any] | None = None


def crossval(
    data: str | Path,
    *,
    folds: int = defaults.FOLDS,
    repeats: int = defaults.REPEATS,
    jobs: int = 1,
    recipe: str | Path | Recipe = defaults.RECIPE,
    changes: Mapping[str, str] | None = None,
    weights: str = defaults.WEIGHTS,
    seed: int = 0,
    out: str | Path | None = None,
    positive: str | None = None,
    resume: bool | None = None,
    operating_point: str = defaults.OPERATING_POINT,
    error: float = defaults.ERROR,
    precision: Precision = "fp32",
    bank_gb: float = defaults.BANK_GB,
    pretrain_on: str | Path | None = None,
    listener: Listener = silent,
) -> Crossvalidated:
    """Train on all folds but one, test on that one, for each; several times over.

    Folds are stratified and never part a group; about 15 % of all slices, of those not tested,
    choose the weights that are kept.

    Args:
        folds: parts of the data, each tested once a repeat.
        repeats: how often, with other folds and other seeds.
        jobs: processes side by side. With more than one, a script must call this below
            `if __name__ == "__main__":`, as Python's multiprocessing asks.

    The others are those of `falx.train`.

    Raises:
        FalxError: what was asked for can't be done; nothing is left half-written but a folder
            `.partial` that the same call takes up again.
    """
    source = Path(data)
    basis = find_basis(
        source,
        recipe=recipe,
        changes=changes or {},
        weights=weights,
        seed=seed,
        positive=positive,
        operating_point=operating_point,
        error=error,
        precision=precision,
        pretrain_on=pretrain_on,
        listener=listener,
    )
    usable = basis.usable
    planned = make_folds(usable, folds=folds, repeats=repeats, seed=seed)
    name = run_name(f"crossval-{basis.recipe.name}", source)
    request = {**basis.request(), "folds": _digest(planned)}
    with (
        run_folder(Path(out) if out else None, name, request, resume=resume) as folder,
        logged_to(folder / "log.jsonl"),
    ):
        logger.info("%d slices, %d folds, %d times", len(usable), folds, repeats)
        basis = basis.with_backbone(bank_gb, listener)
        began = time.monotonic()
        results = train_folds(
            basis.setup(bank_gb), planned, folder / CHECKPOINTS, jobs=jobs, listener=listener
        )
        seconds = time.monotonic() - began
        without = sum(each.limit is None for each in results)
        if without:
            logger.warning("In %d of %d folds %s.", without, len(planned), NO_LIMIT)
        listener(Progress("Reporting", 0, 1))
        views = render_views(usable, basis.recipe.rendering, open_shelf(bank_gb))
        found = _out_of_fold(basis, planned, results, views.plain)
        scores = found.scores()
        told = _Outcome(found, scores, found.trust(scores), found.label_check())
        numbers = ("--folds", folds, "--repeats", repeats, "--jobs", jobs)
        command = basis.command("crossval", *map(str, numbers))
        about = basis.environment(command, seconds)
        _write(folder, basis, told, _history(planned, results), about)
        listener(Progress("Reporting", 1, 1))
        logger.info("out of fold: %s", {n: e.value for n, e in scores.estimates.items()})
    return Crossvalidated(
        folder=final_path(folder),
        counts=usable.counts,
        scores=scores,
        trust=told.trust,
        probabilities=found.probabilities,
        train_command=basis.command("train"),
        label_check=told.label_check,
        pretraining=basis.pretraining(),
    )


def next_steps(run: Path, train_command: str) -> tuple[tuple[str, str], ...]:
    """What one does with a cross-validation, and the commands for it."""
    return (
        ("Read the report", shlex.quote(f"{run}/report.html")),
        ("Write a model card", f"falx card {shlex.quote(str(run))}"),
        ("Train a detector", train_command),
    )


@dataclass(frozen=True)
class _Outcome:
    """What a cross-validation found, and what that is worth."""

    found: OutOfFold
    scores: Scores
    trust: Trust
    label_check: LabelCheck


def _digest(folds: Sequence[Fold]) -> str:
    digest = hashlib.sha256()
    for fold in folds:
        digest.update(fold.split.names().astype("U").tobytes())
    return digest.hexdigest()


def _out_of_fold(
    basis: Basis, folds: Sequence[Fold], results: Sequence[FoldResult], views: np.ndarray
) -> OutOfFold:
    usable = basis.usable
    repeats, n = max(fold.repeat for fold in folds), len(usable)
    probabilities = np.full((repeats, n, len(usable.classes)), np.nan)
    distances = np.full((repeats, n), np.nan)
    numbers = np.zeros((repeats, n), np.int64)
    rules: list[list[Rules]] = [[] for _ in range(repeats)]
    for fold, result in zip(folds, results, strict=True):
        repeat, rows = fold.repeat - 1, fold.split.test
        chosen = calibrate(
            result.validation, usable.labels[fold.split.validation], usable.classes,
            operating_point=basis.operating_point, error=basis.error,
        )  # fmt: skip
        rules[repeat].append(replace(chosen, limit=result.limit))
        probabilities[repeat, rows] = tempered(result.probabilities, chosen.temperature)
        distances[repeat, rows] = result.distances
        numbers[repeat, rows] = fold.number
    return OutOfFold(usable, probabilities, distances, numbers, tuple(map(tuple, rules)), views)


def _history(folds: Sequence[Fold], results: Sequence[FoldResult]) -> pd.DataFrame:
    tables = [
        result.history.assign(repeat=fold.repeat, fold=fold.number)
        for fold, result in zip(folds, results, strict=True)
    ]
    history = pd.concat(tables, ignore_index=True)
    return history[["repeat", "fold", *results[0].history.columns]]


def _write(
    folder: Path,
    basis: Basis,
    told: _Outcome,
    history: pd.DataFrame,
    about: dict[str, Any],
) -> None:
    found, check = told.found, told.label_check
    (folder / "recipe.yaml").write_text(basis.recipe.to_yaml(), "utf-8")
    basis.save_catalogs(folder)
    history.to_csv(folder / "history.csv", index=False)
    found.as_table().to_csv(folder / "predictions.csv", index=False)
    found.errors_table().to_csv(folder / "errors.csv", index=False)
    check.as_table(found.usable).to_csv(folder / "doubts.csv", index=False)
    content = {
        "split": "crossval",
        **told.scores.as_dict(),
        "trust": told.trust.as_dict(),
        "doubted_labels": len(check.doubts),
        **found.metrics(),
    }
    (folder / "metrics.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (folder / "environment.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    _write_report(folder, basis, told, about)


def _write_report(folder: Path, basis: Basis, told: _Outcome, about: dict[str, Any]) -> None:
    found, check = told.found, told.label_check
    figures: tuple[Figure, ...] = draw_figures(folder / "figures", found.results(), told.scores)
    mistakes = found.mistakes()
    if found.repeats > 1:
        # The same slices several times over are no samples.
        figures = tuple(each for each in figures if each.title not in {"Samples", "Worst errors"})
        captions = [f"{m.label} → {m.predicted}, {m.times} of {found.repeats}" for m in mistakes]
        if mistakes:
            figures += draw_repeated(folder / "figures", found.views, found.worst(), captions)
    figures += draw_doubts(folder / "figures", found.views, check, found.usable)
    report = Report(
        title=basis.title,
        audit=audit(basis.catalog, label_check=check),
        recipe=basis.recipe,
        scores=told.scores,
        trust=told.trust,
        split=found.split_name,
        parts=(),
        twins=0,
        figures=figures,
        errors=mistakes,
        parameters=0,
        seconds=about["training_seconds"],
        environment=about,
        command=about["command"],
        next_steps=next_steps(final_path(folder), basis.command("train"))[1:],
        folds=found.by_fold,
    )
    write_report(report, folder / "report.html")
