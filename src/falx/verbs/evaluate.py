"""`evaluate`: a trained detector on another dataset."""

from __future__ import annotations

import json
import logging
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.data.audit import audit
from falx.data.catalog import Catalog, build_catalog, group_rows
from falx.detect.detector import detector_folder, load
from falx.errors import BadInput
from falx.evaluation.metrics import Scores
from falx.evaluation.report import Report
from falx.evaluation.report_page import write_report
from falx.evaluation.results import Results, draw_figures, write_results
from falx.progress import Listener, silent
from falx.recipe import load_recipe
from falx.runfolder import new_folder, stamped
from falx.training.views import render_examples

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate` hands back.

    Attributes:
        folder: with predictions.csv, metrics.json, errors.csv, figures and report.html.
        scores: on all usable slices.
        twins: how many of them have a copy or near-copy among the run's training slices.
        without_twins: scores on the rest, or None where there are no twins or too few are left.
    """

    folder: Path
    scores: Scores
    twins: int
    without_twins: Scores | None


def evaluate(
    run: str | Path,
    data: str | Path,
    *,
    out: str | Path | None = None,
    positive: str | None = None,
    listener: Listener = silent,
) -> Evaluated:
    """Predict every slice of a dataset and compare with its labels.

    Raises:
        BadInput: the classes of the data are not those of the detector.
        FalxError: run or data can't be used.
    """
    detector = load(run)
    home = detector_folder(Path(run)).parent
    catalog = build_catalog(Path(data), positive=positive, listener=listener)
    catalog = _with_classes(catalog, detector.settings.classes)
    usable = catalog.usable()
    examples = render_examples(usable, detector.settings.rendering, listener=listener)
    results = Results.of(
        usable,
        np.arange(len(usable)),
        np.full(len(usable), "test"),
        detector.probabilities(examples.views),
        threshold=detector.settings.threshold,
        views=examples.views,
    )
    scores = results.scores()
    twins = twins_of_training(home, usable)
    rest = _without(results, twins)
    folder = Path(out) if out else stamped(f"evaluate-{Path(data).stem}")
    with new_folder(folder, "the evaluation") as filling:
        _write(filling, run, data, home, catalog, results, scores, twins, rest, detector.settings)
    return Evaluated(folder, scores, int(twins.sum()), rest)


def twins_of_training(home: Path, usable: Catalog) -> np.ndarray:
    """Which usable rows share a group with a training slice of a run: bool (rows,).

    All False, with a warning, where the run folder no longer holds its catalog and split.
    """
    import pandas as pd

    if not (home / "split.csv").is_file() or not (home / "catalog.parquet").is_file():
        logger.warning("'%s' holds no catalog and split, so twins of training can't be told.", home)
        return np.zeros(len(usable), bool)
    parts = pd.read_csv(home / "split.csv")["part"].to_numpy()
    trained = Catalog.load(home / "catalog.parquet").usable().table[parts == "train"]
    both = pd.concat([trained.assign(path="training/" + trained["path"]), usable.table])
    groups = group_rows(both.reset_index(drop=True))
    return np.isin(groups[len(trained) :], groups[: len(trained)])


def _with_classes(catalog: Catalog, classes: tuple[str, ...]) -> Catalog:
    unknown = sorted(set(catalog.classes) - set(classes))
    if unknown:
        raise BadInput(
            f"The data hold the class '{unknown[0]}', which the detector does not know; it knows "
            f"{', '.join(classes)}. Rename the folders to match."
        )
    return Catalog(catalog.root, classes, catalog.table)


def _without(results: Results, twins: np.ndarray) -> Scores | None:
    if not twins.any() or len(np.unique(results.labels[~twins])) < 2:
        return None
    marked = np.where(twins, "twin", "test")
    return Results(**{**vars(results), "parts": marked}).part("test").scores()


def _write(
    folder: Path,
    run: str | Path,
    data: str | Path,
    home: Path,
    catalog: Catalog,
    results: Results,
    scores: Scores,
    twins: np.ndarray,
    rest: Scores | None,
    settings: Any,
) -> None:
    write_results(folder, results, scores, without_twins=rest.as_dict() if rest else None)
    about = json.loads((home / "environment.json").read_text("utf-8"))
    command = shlex.join(["falx", "evaluate", str(run), str(data)])
    report = Report(
        title=f"{settings.recipe} on {catalog.root.name}",
        audit=audit(catalog),
        recipe=load_recipe(home / "recipe.yaml"),
        scores=scores,
        split=f"all of {catalog.root.name}",
        parts=(),
        twins=int(twins.sum()),
        blind=None,
        blind_twins=0,
        figures=draw_figures(folder / "figures", results, scores),
        errors=results.mistakes(),
        parameters=0,
        seconds=float(about["training_seconds"]),
        environment=about,
        command=command,
        next_steps=(("Look at single images", f"falx predict {shlex.quote(str(run))} IMAGE..."),),
        study=results.study_scores(settings.study_share),
    )
    write_report(report, folder / "report.html")
