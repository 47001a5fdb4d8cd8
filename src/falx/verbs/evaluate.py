"""`evaluate`: a trained detector on another dataset."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from falx.data.auditing import audit
from falx.data.catalog import Catalog, build_catalog, shares_group_with
from falx.data.class_names import means_none
from falx.data.fingerprints import Fingerprints
from falx.data.mask_rule import MaskRule
from falx.declaration import takes
from falx.detect.detector import Detector, detector_folder, load
from falx.detect.site import SiteCheck
from falx.detect.site_reference import Measurements
from falx.evaluation.binary import (
    binary_catalog,
    binary_classes,
    binary_probabilities,
    binary_rules,
    with_classes_of,
)
from falx.evaluation.calibration import apply_temperature
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.faithfulness import sample_groups, score_faithfulness
from falx.evaluation.mask_checks import MaskScores, attach_masks, score_masks
from falx.evaluation.occlusion import BorderOnlyScores, score_border_only
from falx.evaluation.predictions import Predictions
from falx.evaluation.robustness import RobustnessScores, score_robustness
from falx.progress import Listener, silent
from falx.recipe import load_recipe
from falx.reporting.pages.run import write_report
from falx.reporting.report import Report
from falx.reporting.run_figures import draw_figures
from falx.runs.folder import check_free, new_folder, stamped
from falx.runs.inputs import PRETRAINING_FILE
from falx.runs.options import EvaluateOptions
from falx.runs.run import RECIPE_FILE, REPORT_FILE, Record, Run
from falx.runs.writing import CATALOG_FILE, SPLIT_FILE, write_run
from falx.training.setup import open_cache
from falx.training.views import render_views

logger = logging.getLogger(__name__)

MAX_BORDER_ONLY = 2000
"""Slices at most on which border-only predictions are made."""


@takes(EvaluateOptions)
def evaluate(
    run: str | Path | None,
    data: str | Path,
    *,
    listener: Listener = silent,
    **options: Unpack[EvaluateOptions],
) -> Run:
    """Predict every slice of a dataset and compare with its labels.

    Args:
        run: a run folder, or its `detector/`; None for the detector that ships with falx.
        data: as for `falx.train`.
        listener: receives progress.
        options: see falx.runs.options.EvaluateOptions. Heat maps of a detector of more than two
            classes, which are of one class each, are not checked with `binary`.

    Raises:
        BadInput: the classes of the data are not those of the detector.
        FalxError: run or data can't be used.
    """
    folder = Path(options["out"] or stamped(f"evaluate-{Path(data).stem}"))
    check_free(folder, "the evaluation")
    detector, place = load(run), detector_folder(run)
    home = place.parent
    catalog = _catalog(Path(data), detector.settings.classes, options, listener)
    usable = catalog.usable()
    tested = _predict(detector, usable, options["binary"], options["cache_gb"], listener)
    leaked = leaked_from_training(place, usable)
    masked = _masked(detector, usable, options["masks"], listener)
    robustness = None
    if options["robustness"]:
        robustness = _robustness(detector, tested, usable, listener)
    one_class_maps = options["binary"] and len(detector.settings.classes) > 2
    evaluation = Evaluation(
        tested.predictions,
        leaked,
        localization=masked.localization if masked else None,
        regions=masked.regions if masked else None,
        faithfulness=score_faithfulness(
            detector,
            tested.predictions,
            tested.views,
            place,
            0 if one_class_maps else options["faithfulness_slices"],
            listener=listener,
        ),
        border_only=_border_only(detector, tested, leaked),
        occlusion=masked.occlusion if masked else None,
        site=_check_site(detector, tested, leaked),
        robustness=robustness,
    )
    binary = ", folded into tumor and no tumor" if options["binary"] else ""
    evaluated = Run(
        folder=folder,
        record=Record(
            verb="evaluate",
            arguments=[str(each) for each in (run, data) if each is not None],
            options=Record.options_of("evaluate", options, folder),
            title=f"{detector.settings.recipe} on {catalog.root.name}",
            split=f"all of {catalog.root.name}{binary}",
            data={"name": catalog.root.name, "sha256": catalog.digest()},
            detector=detector.settings.network_sha256,
        ),
        catalog=catalog,
        evaluation=evaluation,
        recipe=load_recipe(home / RECIPE_FILE) if (home / RECIPE_FILE).is_file() else None,
    )
    with new_folder(folder, "the evaluation") as filling:
        write_run(evaluated, filling)
        figures = draw_figures(evaluated, tested.views, filling / "figures")
        write_report(Report(evaluated, audit(catalog), figures), filling / REPORT_FILE)
    return evaluated


def leaked_from_training(detector: Path, usable: Catalog) -> np.ndarray | None:
    """Which usable rows share a group with what a detector has seen: bool (rows,).

    That is its training, its validation, which chose the weights, and what its backbone was
    pretrained on.

    Args:
        detector: its folder; with fingerprints, or in the run folder that holds them.

    Returns:
        None where there is neither.
    """
    seen_before, home = Fingerprints.load(detector), detector.parent
    if seen_before:
        return seen_before.seen(usable)
    split, saved = home / SPLIT_FILE, home / CATALOG_FILE
    if not (split.is_file() and saved.is_file()):
        logger.warning("'%s' is no run folder: whether slices were trained on is unknown.", home)
        return None
    parts = pd.read_csv(split)["part"].to_numpy()
    seen = [Catalog.load(saved).usable().table[parts != "test"]]
    if (home / PRETRAINING_FILE).is_file():
        seen.append(Catalog.load(home / PRETRAINING_FILE).table)
    return shares_group_with(pd.concat(seen), usable.table)


def _robustness(
    detector: Detector, tested: _Tested, usable: Catalog, listener: Listener
) -> RobustnessScores | None:
    """Scores of corrupted slices, by the rules that the evaluation uses."""

    def predict(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities, distances = detector.predict_views(views)
        return binary_probabilities(probabilities) if tested.binary else probabilities, distances

    scores = score_robustness(
        predict, usable, detector.settings.rendering, tested.predictions.rules[0][0],
        listener=listener,
    )  # fmt: skip
    if scores is None:
        logger.warning("Robustness was not measured: a class has no slice.")
    return scores


@dataclass(frozen=True, eq=False)
class _Tested:
    """Predictions, the views they were made on, uint8 (n, size, size), and whether binary.

    The probabilities, float (n, classes), are those of the detector, before any folding.
    """

    predictions: Predictions
    views: np.ndarray
    binary: bool
    probabilities: np.ndarray


def _catalog(
    data: Path, classes: tuple[str, ...], options: EvaluateOptions, listener: Listener
) -> Catalog:
    rule = MaskRule(options["tumor_area"], options["tumor_margin"])
    catalog = build_catalog(data, min_classes=1, masks=rule, listener=listener)
    if options["masks"]:
        catalog = attach_masks(catalog, Path(options["masks"]), rule)
    if options["binary"]:
        return binary_catalog(catalog, binary_classes(classes, catalog.classes))
    folds = sum(map(means_none, classes)) == 1
    fold = ", or fold them with --binary into tumor and no tumor" if folds else ""
    return with_classes_of(catalog, classes, advice=fold)


def _masked(
    detector: Detector, usable: Catalog, masks: str | Path | None, listener: Listener
) -> MaskScores | None:
    """What masks say, where there are any; those beside the images are no reason to fail."""
    if masks is None and (
        len(detector.settings.classes) != 2
        or not ((usable.table["mask"] != "") & (usable.labels == 1)).any()
    ):
        return None
    return score_masks(detector, usable, listener, required=masks is not None)


def _predict(
    detector: Detector, usable: Catalog, binary: bool, cache_gb: float, listener: Listener
) -> _Tested:
    settings = detector.settings
    cache = open_cache(cache_gb)
    views = render_views(usable, settings.rendering, cache, listener=listener).plain
    probabilities, distances = detector.predict_views(views)
    unfolded = probabilities
    rules, uncalibrated = settings.rules, None
    if binary:
        uncalibrated = binary_probabilities(apply_temperature(probabilities, 1 / rules.temperature))
        probabilities = binary_probabilities(probabilities)
        rules = binary_rules(rules, len(settings.classes))
    predictions = Predictions.of_detector(
        usable, np.arange(len(usable)), probabilities, distances, rules, uncalibrated=uncalibrated
    )
    return _Tested(predictions, views, binary, unfolded)


def _check_site(detector: Detector, tested: _Tested, leaked: np.ndarray | None) -> SiteCheck:
    """The site check on slices that did not leak: to a detector that saw them, others look odd."""
    found = tested.predictions
    rows = np.arange(len(found)) if leaked is None else np.flatnonzero(~leaked)
    views, probabilities = tested.views[rows], tested.probabilities[rows]
    measurements = Measurements.of(views, probabilities, found.distances[0, rows])
    return detector.check_site(measurements, found.groups[rows])


def _border_only(
    detector: Detector, tested: _Tested, leaked: np.ndarray | None
) -> BorderOnlyScores | None:
    """Border-only scores on slices that did not leak, one of each group before a second of any."""

    def predict(views: np.ndarray) -> np.ndarray:
        probabilities = detector.probabilities(views)
        return binary_probabilities(probabilities) if tested.binary else probabilities

    found = tested.predictions
    eligible = np.arange(len(found)) if leaked is None else np.flatnonzero(~leaked)
    groups = found.groups
    sample = sample_groups(groups[eligible], MAX_BORDER_ONLY, np.random.default_rng(0))
    rows = eligible[sample]
    return score_border_only(
        predict, tested.views[rows], found.labels[rows], groups[rows], found.classes,
        found.probabilities[0, rows],
    )  # fmt: skip
