"""`evaluate`: a trained detector on another dataset."""

from __future__ import annotations

import json
import logging
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from falx import defaults
from falx.data.audit import audit
from falx.data.catalog import Catalog, build_catalog, twins_of
from falx.data.read import read_slices
from falx.detect.detector import KERAS_FILE, Detector, detector_folder, load
from falx.detect.heat_map import HeatMap
from falx.environment import environment
from falx.errors import BadInput
from falx.evaluation.explain import MapScores, score_maps
from falx.evaluation.map_checks import MapChecks, check_maps
from falx.evaluation.metrics import Scores
from falx.evaluation.report import Report
from falx.evaluation.report_page import write_report
from falx.evaluation.results import Results, draw_figures, draw_map_checks, write_results
from falx.evaluation.trust import Trust
from falx.progress import Listener, Progress, silent
from falx.recipe import load_recipe
from falx.runfolder import check_free, new_folder, stamped
from falx.training.setup import open_shelf
from falx.training.shelf import Shelf
from falx.training.views import render_views
from falx.verbs.basis import PRETRAINING_FILE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate` hands back.

    Attributes:
        folder: with predictions.csv, metrics.json, errors.csv, figures and report.html.
        scores: on all usable slices.
        trust: what the detector's rules are worth on them.
        twins: how many of them have a copy or near-copy among the slices that the run trained
            and chose its weights on; None where the detector came without its run.
        without_twins: scores on the rest, or None where there are no twins or too few are left.
        maps: how well heat maps agree with masks, where there are any.
        checks: whether heat maps are true, as far as can be told without masks; None where that
            was not asked for, or fewer than two slices have maps to check.
    """

    folder: Path
    scores: Scores
    trust: Trust
    twins: int | None
    without_twins: Scores | None
    maps: MapScores | None = None
    checks: MapChecks | None = None


def evaluate(
    run: str | Path,
    data: str | Path,
    *,
    out: str | Path | None = None,
    masks: str | Path | None = None,
    map_slices: int = defaults.MAP_SLICES,
    bank_gb: float = defaults.BANK_GB,
    listener: Listener = silent,
) -> Evaluated:
    """Predict every slice of a dataset and compare with its labels.

    Args:
        run: a run folder, or its `detector/`.
        data: as for `train`.
        out: the folder to be made; by default `runs/<time>-evaluate-<data>`.
        masks: a folder with a mask of the tumor under the path of each slice of the positive class
            that has one, such as `falx phantom` writes; heat maps are compared with them.
        map_slices: on how many slices to check heat maps at most, by deletion, insertion and
            randomization (see falx.evaluation.map_checks); 0 for none.
        bank_gb: the most that views may take on disk, in gigabytes.

    Raises:
        BadInput: the classes of the data are not those of the detector.
        FalxError: run or data can't be used.
    """
    folder = Path(out) if out else stamped(f"evaluate-{Path(data).stem}")
    check_free(folder, "the evaluation")
    detector = load(run)
    if masks is not None:
        _check_masks(Path(masks), detector.settings.classes)
    home = detector_folder(Path(run)).parent
    network = detector_folder(Path(run)) / KERAS_FILE
    catalog = build_catalog(Path(data), least=1, listener=listener)
    catalog = _with_classes(catalog, detector.settings.classes)
    results = _predicted(detector, catalog.usable(), open_shelf(bank_gb), listener)
    twins = twins_of_training(home, catalog.usable())
    rest = None if twins is None else results.scores_without(twins)
    scores = results.scores()
    done = Evaluated(
        folder=folder,
        scores=scores,
        trust=results.trust(scores),
        twins=None if twins is None else int(twins.sum()),
        without_twins=rest,
        maps=_map_scores(detector, catalog.usable(), Path(masks), listener) if masks else None,
        checks=check_maps(detector, results, network, map_slices, listener=listener),
    )
    with new_folder(done.folder, "the evaluation") as filling:
        write_results(
            filling,
            results,
            done.scores,
            done.trust,
            twins=done.twins,
            studies=results.study_scores(),
            without_twins=rest.as_dict() if rest else None,
            heat_maps=done.maps.as_dict() if done.maps else None,
            heat_map_checks=done.checks.as_dict() if done.checks else None,
        )
        named = ["--masks", str(masks)] if masks else []
        if map_slices != defaults.MAP_SLICES:
            named += ["--map-slices", str(map_slices)]
        command = shlex.join(["falx", "evaluate", str(run), str(data), *named])
        report = _report(filling, done, results, catalog, detector, home, command)
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
            f"{', '.join(classes)}. Rename the folders to match."
        )
    return Catalog(catalog.root, classes, catalog.table)


def _predicted(detector: Detector, usable: Catalog, shelf: Shelf, listener: Listener) -> Results:
    views = render_views(usable, detector.settings.rendering, shelf, listener=listener).plain
    return Results.of(
        usable,
        np.arange(len(usable)),
        np.full(len(usable), "test"),
        *detector.answers(views),
        rules=detector.settings.rules,
        views=views,
    )


def _check_masks(masks: Path, classes: tuple[str, ...]) -> None:
    if not masks.is_dir():
        raise BadInput(f"'{masks}' is no folder of masks; name one that holds <path of slice>.")
    if len(classes) != 2:
        raise BadInput(
            "Masks are of one class, and the detector has more than two; leave them out."
        )


def _map_scores(detector: Detector, usable: Catalog, masks: Path, listener: Listener) -> MapScores:
    """Heat maps of the positive slices that have a mask, against it.

    Empty masks and foreign slices are left out.

    Raises:
        BadInput: nothing is left, or a mask is not that of its slice.
    """
    positive = usable.table.assign(group=usable.groups)[usable.labels == 1]
    files = positive.groupby("path", sort=False)
    maps: list[HeatMap] = []
    outlines: list[np.ndarray] = []
    groups: list[int] = []
    refused = 0
    for number, (path, rows) in enumerate(files, start=1):
        listener(Progress("Heat maps", number, len(files)))
        named = Path(str(path))
        if named.is_absolute() or ".." in named.parts:
            raise BadInput(f"'{path}' is not below the data's folder, so no mask can be found.")
        if not (masks / named).is_file():
            continue
        outlined = {each.index: each.pixels > 0 for each in read_slices(masks / named)}
        shown = {each.index: each for each in read_slices(usable.root / named)}
        for index, group in zip(rows["index"], rows["group"], strict=True):
            outline = outlined.get(index)
            if outline is None or outline.shape != shown[index].pixels.shape:
                raise BadInput(
                    f"The mask '{masks / named}' is not of the size of '{path}'; mend or remove it."
                )
            if not outline.any():
                continue
            (finding,) = detector.find([shown[index]], maps="mirrored")
            if finding.heat_map is None:
                refused += 1
                continue
            maps.append(finding.heat_map)
            outlines.append(outline)
            groups.append(int(group))
    if refused and not maps:
        raise BadInput(
            f"All slices with a tumor and a mask ({refused}) are foreign to the detector, so there "
            "is no heat map to compare with a mask; leave --masks out."
        )
    return score_maps(maps, outlines, groups)


def _report(
    folder: Path,
    done: Evaluated,
    results: Results,
    catalog: Catalog,
    detector: Detector,
    home: Path,
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
        split=f"all of {catalog.root.name}",
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
        study=results.study_scores(),
        maps=done.maps,
        map_checks=done.checks,
    )
