"""`crossval`: every slice of a dataset tested by networks that never saw it or its group."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from falx.data.auditing import audit
from falx.data.joining import as_paths
from falx.data.placing import planes_of
from falx.declaration import declared, takes
from falx.detect.rules import Rules
from falx.errors import BadInput
from falx.evaluation.calibration import apply_temperature, calibrate
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.predictions import Predictions
from falx.evaluation.study_calibration import calibrate_studies
from falx.logs import log_to_file
from falx.progress import Listener, Progress, silent
from falx.reporting.pages.run import write_report
from falx.reporting.report import Report
from falx.reporting.run_figures import draw_figures
from falx.runs.folder import CHECKPOINTS, final_path, run_folder
from falx.runs.inputs import TrainingInputs, find_inputs, run_name
from falx.runs.options import CrossvalOptions
from falx.runs.run import REPORT_FILE, Run
from falx.runs.writing import write_run
from falx.training.folds import Fold, FoldResult, make_folds, make_source_folds, train_folds
from falx.training.ood import NO_OOD_THRESHOLD
from falx.training.setup import open_cache
from falx.training.views import render_views

logger = logging.getLogger(__name__)
_FOLDS = next(each.option.default for each in declared(CrossvalOptions) if each.name == "folds")


@takes(CrossvalOptions)
def crossval(
    data: str | Path | Sequence[str | Path],
    *,
    listener: Listener = silent,
    **options: Unpack[CrossvalOptions],
) -> Run:
    """Train on all folds but one, test on that one, for each; perhaps repeatedly.

    Folds are stratified and never split a group; about 15 % of all slices, of those not tested,
    choose the weights that are kept. With `leave_one_source_out`, each of several datasets is a
    fold, and other slices that share a group with one of it are left out. With more than one job, a
    script must call this below `if __name__ == "__main__":`, as Python's multiprocessing asks.

    Args:
        data: as for `falx.train`.
        listener: receives progress.
        options: see falx.runs.options.CrossvalOptions.

    Raises:
        FalxError: what was asked for can't be done; nothing is left half-written but a folder
            `.partial` that the same call resumes.
    """
    repeats = options["repeats"]
    # Recorded even where not given: jobs share the cores, and threads decide how sums are rounded.
    options["jobs"] = jobs = 1 if options["jobs"] is None else options["jobs"]
    paths = as_paths(data)
    _check_folds(paths, options)
    inputs = find_inputs(paths, options, listener=listener)
    usable = inputs.usable
    planned = _plan(inputs, options)
    out = Path(options["out"]) if options["out"] else None
    name = run_name(f"crossval-{inputs.recipe.name}", paths)
    request = {**inputs.request(), "folds": _digest(planned)}
    with (
        run_folder(out, name, request, resume=options["resume"]) as folder,
        log_to_file(folder / "log.jsonl"),
    ):
        folds = len(planned) // repeats
        logger.info("%d slices, %d folds, %d repeats", len(usable), folds, repeats)
        inputs = inputs.with_backbone(listener)
        began = time.monotonic()
        results = train_folds(
            inputs.setup(),
            planned,
            folder / CHECKPOINTS,
            jobs=jobs,
            listener=listener,
        )
        seconds = time.monotonic() - began
        without = sum(each.ood_threshold is None for each in results)
        if without:
            logger.warning("In %d of %d folds %s.", without, len(planned), NO_OOD_THRESHOLD)
        listener(Progress("Reporting", 0, 1))
        predictions = _out_of_fold(inputs, planned, results)
        times = f", {repeats} repeats" if repeats > 1 else ""
        kind = f"leak-free {folds}-fold cross-validation"
        if options["leave_one_source_out"]:
            kind = f"leave-one-source-out, {folds} sources"
        split = f"{kind}{times}"
        run = Run(
            folder=final_path(folder),
            record=inputs.record(
                "crossval", options, final_path(folder), split=split, seconds=seconds
            ),
            catalog=inputs.catalog,
            evaluation=Evaluation(predictions, inputs.seen),
            recipe=inputs.recipe,
            history=_history(planned, results),
        )
        inputs.save_pretraining(folder)
        write_run(run, folder)
        views = render_views(usable, inputs.recipe.rendering, open_cache(inputs.cache_gb))
        figures = draw_figures(run, views.plain, folder / "figures")
        found = audit(inputs.catalog, label_check=run.evaluation.label_check)
        write_report(Report(run, found, figures), folder / REPORT_FILE)
        listener(Progress("Reporting", 1, 1))
        logger.info("out of fold: %s", {n: e.value for n, e in run.scores.estimates.items()})
    return run


def _check_folds(paths: Sequence[Path], options: CrossvalOptions) -> None:
    """Check that leave-one-source-out is asked for with options that go with it.

    Raises:
        BadInput: they don't.
    """
    if not options["leave_one_source_out"]:
        return
    if options["folds"] != _FOLDS:
        raise BadInput(
            "--leave-one-source-out makes a fold of each dataset, so --folds means nothing beside "
            "it; leave out one of the two."
        )
    if len(paths) < 2:
        raise BadInput(
            "--leave-one-source-out needs at least two datasets, to test each by training on the "
            "others; name another, or leave it out."
        )


def _plan(inputs: TrainingInputs, options: CrossvalOptions) -> list[Fold]:
    usable, repeats, seed = inputs.usable, options["repeats"], inputs.seed
    if options["leave_one_source_out"]:
        return make_source_folds(usable, repeats=repeats, seed=seed)
    return make_folds(usable, folds=options["folds"], repeats=repeats, seed=seed)


def _digest(folds: Sequence[Fold]) -> str:
    digest = hashlib.sha256()
    for fold in folds:
        digest.update(fold.split.names().astype("U").tobytes())
    return digest.hexdigest()


def _out_of_fold(
    inputs: TrainingInputs, folds: Sequence[Fold], results: Sequence[FoldResult]
) -> Predictions:
    usable = inputs.usable
    repeats, n = max(fold.repeat for fold in folds), len(usable)
    probabilities = np.full((repeats, n, len(usable.classes)), np.nan)
    distances = np.full((repeats, n), np.nan)
    numbers = np.zeros((repeats, n), np.int64)
    rules: list[list[Rules]] = [[] for _ in range(repeats)]
    for fold, result in zip(folds, results, strict=True):
        repeat, rows = fold.repeat - 1, fold.split.test
        chosen = _rules(inputs, fold, result)
        rules[repeat].append(chosen)
        probabilities[repeat, rows] = apply_temperature(result.probabilities, chosen.temperature)
        distances[repeat, rows] = result.distances
        numbers[repeat, rows] = fold.number
    return Predictions(
        table=usable.table,
        classes=usable.classes,
        rows=np.arange(n),
        probabilities=probabilities,
        distances=distances,
        folds=numbers,
        rules=tuple(map(tuple, rules)),
    )


def _rules(inputs: TrainingInputs, fold: Fold, result: FoldResult) -> Rules:
    """The rules of a fold's detector, chosen on its validation part."""
    usable, rows = inputs.usable, fold.split.validation
    rules = calibrate(
        result.validation_probabilities[result.learnable],
        usable.labels[rows[result.learnable]],
        usable.classes,
        operating_point=inputs.operating_point,
        alpha=inputs.alpha,
    )
    learned = np.isin(usable.sources, usable.sources[fold.split.train])
    planes = planes_of(usable.table[learned])
    rules = replace(rules, ood_threshold=result.ood_threshold, planes=planes)
    calibrated = apply_temperature(result.validation_probabilities, rules.temperature)
    validation = Predictions.of_detector(
        usable, rows, calibrated, result.validation_distances, rules
    )
    return calibrate_studies(validation, top_fraction=inputs.recipe.top_fraction)


def _history(folds: Sequence[Fold], results: Sequence[FoldResult]) -> pd.DataFrame:
    tables = [
        result.history.assign(repeat=fold.repeat, fold=fold.number)
        for fold, result in zip(folds, results, strict=True)
    ]
    history = pd.concat(tables, ignore_index=True)
    return history[["repeat", "fold", *results[0].history.columns]]
