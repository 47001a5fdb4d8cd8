"""`evaluate`: a trained detector on another dataset."""

from __future__ import annotations

import json
import logging
import shlex
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx import defaults
from falx.data.audit import audit
from falx.data.catalog import Catalog, build_catalog, twins_of
from falx.data.class_names import means_none
from falx.detect.detector import KERAS_FILE, Detector, detector_folder, load
from falx.environment import environment
from falx.errors import BadInput
from falx.evaluation.binary import (
    binary_catalog,
    binary_classes,
    binary_probabilities,
    binary_rules,
)
from falx.evaluation.calibrate import tempered
from falx.evaluation.explain import MapScores
from falx.evaluation.hiding import Answer, BorderScore, HiddenTumors, score_border
from falx.evaluation.map_checks import MapChecks, check_maps, sample_groups
from falx.evaluation.metrics import Scores
from falx.evaluation.report import Report
from falx.evaluation.report_page import write_report
from falx.evaluation.results import Results, draw_figures, draw_map_checks, write_results
from falx.evaluation.trust import Trust
from falx.progress import Listener, silent
from falx.recipe import load_recipe
from falx.runfolder import check_free, new_folder, stamped
from falx.training.setup import open_shelf
from falx.training.shelf import Shelf
from falx.training.views import render_views
from falx.verbs.basis import PRETRAINING_FILE
from falx.verbs.masked import check_masks, score_masked

logger = logging.getLogger(__name__)

BORDERS = 2000
"""On how many slices at most it is asked what the border alone says."""


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate` hands back.

    Attributes:
        folder: with predictions.csv, metrics.json, errors.csv, figures and report.html.
        scores: on all usable slices.
        trust: what the detector's rules are worth on them.
        studies: scores of studies, ready for JSON, or None where there are none.
        twins: how many of them have a copy or near-copy among the slices that the run trained
            and chose its weights on; None where the detector came without its run.
        without_twins: scores on the rest, or None where there are no twins or too few are left.
        maps: how well heat maps agree with masks, where there are any.
        checks: whether heat maps are true, as far as can be told without masks; None where that
            was not asked for, or fewer than two slices have maps to check.
        border: what the detector makes of slices of which only the border is left; of at most
            `BORDERS` that have no twin among what the run saw, drawn at random, one of each group
            before a second of any. None where a class has none.
        hidden: what it makes of tumors that were painted over, where there are masks.
    """

    folder: Path
    scores: Scores
    trust: Trust
    studies: dict[str, Any] | None
    twins: int | None
    without_twins: Scores | None
    maps: MapScores | None = None
    checks: MapChecks | None = None
    border: BorderScore | None = None
    hidden: HiddenTumors | None = None


def evaluate(
    run: str | Path,
    data: str | Path,
    *,
    out: str | Path | None = None,
    masks: str | Path | None = None,
    map_slices: int = defaults.MAP_SLICES,
    binary: bool = False,
    bank_gb: float = defaults.BANK_GB,
    listener: Listener = silent,
) -> Evaluated:
    """Predict every slice of a dataset and compare with its labels.

    Args:
        run: a run folder, or its `detector/`.
        data: as for `train`.
        out: the folder to be made; by default `runs/<time>-evaluate-<data>`.
        masks: a folder with a mask of the tumor under the path of each slice of the positive class
            that has one, such as `falx phantom` writes; heat maps are compared with them, and
            tumors are painted over by them.
        map_slices: on how many slices to check heat maps at most, by deletion, insertion and
            randomization (see falx.evaluation.map_checks); 0 for none.
        binary: ask only whether there is a tumor: the classes of detector and data are folded into
            the first, which must mean that there is none, and all others. Heat maps of a detector
            of more than two classes, which are of one kind each, are then not checked.
        bank_gb: the most that views may take on disk, in gigabytes.

    Raises:
        BadInput: the classes of the data are not those of the detector.
        FalxError: run or data can't be used.
    """
    folder = Path(out) if out else stamped(f"evaluate-{Path(data).stem}")
    check_free(folder, "the evaluation")
    detector = load(run)
    if masks is not None:
        check_masks(Path(masks), detector.settings.classes)
    home = detector_folder(Path(run)).parent
    network = detector_folder(Path(run)) / KERAS_FILE
    catalog = build_catalog(Path(data), least=1, listener=listener)
    classes = detector.settings.classes
    kinds = binary and len(classes) > 2
    if binary:
        catalog = binary_catalog(catalog, binary_classes(classes, catalog.classes))
    else:
        catalog = _with_classes(catalog, classes)
    answer = partial(_answer, detector, binary)
    results = _predicted(detector, catalog.usable(), binary, open_shelf(bank_gb), listener)
    masked = score_masked(detector, catalog.usable(), Path(masks), listener) if masks else None
    twins = twins_of_training(home, catalog.usable())
    rest = None if twins is None else results.scores_without(twins)
    scores = results.scores()
    done = Evaluated(
        folder=folder,
        scores=scores,
        trust=results.trust(scores),
        studies=results.study_scores(),
        twins=None if twins is None else int(twins.sum()),
        without_twins=rest,
        maps=masked.maps if masked else None,
        checks=check_maps(
            detector, results, network, 0 if kinds else map_slices, listener=listener
        ),
        border=_border(answer, results, twins),
        hidden=masked.hidden if masked else None,
    )
    with new_folder(done.folder, "the evaluation") as filling:
        write_results(
            filling,
            results,
            done.scores,
            done.trust,
            twins=done.twins,
            studies=done.studies,
            without_twins=rest.as_dict() if rest else None,
            heat_maps=done.maps.as_dict() if done.maps else None,
            heat_map_checks=done.checks.as_dict() if done.checks else None,
            border_alone=done.border.as_dict() if done.border else None,
            hidden_tumors=done.hidden.as_dict() if done.hidden else None,
        )
        named = ["--masks", str(masks)] if masks else []
        if map_slices != defaults.MAP_SLICES:
            named += ["--map-slices", str(map_slices)]
        if binary:
            named += ["--binary"]
        command = shlex.join(["falx", "evaluate", str(run), str(data), *named])
        split = f"all of {catalog.root.name}{', asked for any tumor' if binary else ''}"
        report = _report(filling, done, results, catalog, detector, home, split, command)
        write_report(report, filling / "report.html")
    return done


def twins_of_training(home: Path, usable: Catalog) -> np.ndarray | None:
    """Which usable rows share a group with what a run has seen: bool (rows,).

    That is its training, its validation, which chose the weights, and what its backbone was
    pretrained on.

    None where `home`, the run folder, does not hold the catalog and split of its training.
    """
    split, saved = home / "split.csv", home / "catalog.parquet"
    if not (split.is_file() and saved.is_file()):
        logger.warning("'%s' is no run folder: whether slices were trained on is unknown.", home)
        return None
    parts = pd.read_csv(split)["part"].to_numpy()
    seen = [Catalog.load(saved).usable().table[parts != "test"]]
    if (home / PRETRAINING_FILE).is_file():
        seen.append(Catalog.load(home / PRETRAINING_FILE).table)
    return twins_of(pd.concat(seen), usable.table)


def _with_classes(catalog: Catalog, classes: tuple[str, ...]) -> Catalog:
    unknown = sorted(set(catalog.classes) - set(classes))
    if unknown:
        raise BadInput(
            f"The data hold the class '{unknown[0]}', which the detector does not know; it knows "
            f"{', '.join(classes)}. Rename the folders to match{_or_binary(classes)}."
        )
    return Catalog(catalog.root, classes, catalog.table)


def _or_binary(classes: tuple[str, ...]) -> str:
    """Further advice, where it helps."""
    folds = sum(map(means_none, classes)) == 1
    return ", or ask with --binary only whether there is a tumor" if folds else ""


def _predicted(
    detector: Detector, usable: Catalog, binary: bool, shelf: Shelf, listener: Listener
) -> Results:
    settings = detector.settings
    views = render_views(usable, settings.rendering, shelf, listener=listener).plain
    probabilities, distances = detector.answers(views)
    rules, raw = settings.rules, None
    if binary:
        raw = binary_probabilities(tempered(probabilities, 1 / rules.temperature))
        probabilities = binary_probabilities(probabilities)
        rules = binary_rules(rules, len(settings.classes))
    results = Results.of(
        usable,
        np.arange(len(usable)),
        np.full(len(usable), "test"),
        probabilities,
        distances,
        rules=rules,
        views=views,
    )
    return replace(results, raw=raw)


def _answer(detector: Detector, binary: bool, views: np.ndarray) -> np.ndarray:
    """Probabilities of the classes that are asked for."""
    given = detector.probabilities(views)
    return binary_probabilities(given) if binary else given


def _border(answer: Answer, results: Results, twins: np.ndarray | None) -> BorderScore | None:
    fit = np.arange(len(results.labels)) if twins is None else np.flatnonzero(~twins)
    groups = results.groups
    rows = fit[sample_groups(groups[fit], BORDERS, np.random.default_rng(0))]
    return score_border(
        answer, results.views[results.rows[rows]], results.labels[rows], groups[rows],
        results.classes, results.probabilities[rows],
    )  # fmt: skip


def _report(
    folder: Path,
    done: Evaluated,
    results: Results,
    catalog: Catalog,
    detector: Detector,
    home: Path,
    split: str,
    command: str,
) -> Report:
    settings = detector.settings
    recipe, about = home / "recipe.yaml", home / "environment.json"
    trained = json.loads(about.read_text("utf-8")) if about.is_file() else {}
    detector_name = shlex.quote(str(home))
    figures = draw_figures(folder / "figures", results, done.scores)
    if done.checks:
        figures += draw_map_checks(folder / "figures", done.checks)
    return Report(
        title=f"{settings.recipe} on {catalog.root.name}",
        audit=audit(catalog),
        recipe=load_recipe(recipe) if recipe.is_file() else None,
        scores=done.scores,
        trust=done.trust,
        split=split,
        parts=(),
        twins=done.twins,
        without_twins=done.without_twins,
        figures=figures,
        errors=results.mistakes(),
        parameters=0,
        seconds=trained.get("training_seconds"),
        environment={**environment(), "detector": settings.network_sha256},
        command=command,
        next_steps=(("Classify images", f"falx predict {detector_name} IMAGE..."),),
        study=done.studies,
        maps=done.maps,
        map_checks=done.checks,
        border=done.border,
        hidden=done.hidden,
    )
