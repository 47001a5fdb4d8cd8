"""`train`: from a folder of slices to a run folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from falx.data.auditing import audit
from falx.data.joining import as_paths
from falx.data.placing import planes_of
from falx.declaration import takes
from falx.detect.detector import Detector, load
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
from falx.runs.inputs import find_inputs, run_name
from falx.runs.options import TrainOptions
from falx.runs.plan import Plan, make_plan, split_strategy
from falx.runs.run import REPORT_FILE, Run
from falx.runs.writing import write_run
from falx.training.ood import NO_OOD_THRESHOLD, fit_mahalanobis, fit_ood_threshold
from falx.training.site import fit_site_reference
from falx.training.targets import epoch_order
from falx.training.trainer import Trainer
from falx.training.views import CORRUPTED
from falx.training.weak_labels import learnable

logger = logging.getLogger(__name__)
_VIEWS_SHOWN = 24
_PARITY_SLICES = 32


@takes(TrainOptions)
def train(
    data: str | Path | Sequence[str | Path],
    *,
    listener: Listener = silent,
    **options: Unpack[TrainOptions],
) -> Run:
    """Audit, split, train, evaluate and report; the run folder is complete or absent.

    Args:
        data: a folder with a subfolder for each class, or a CSV or Parquet file; or several of
            these, to train on together (see falx.data.joining).
        listener: receives progress.
        options: see falx.runs.options.TrainOptions.

    Raises:
        FalxError: what was asked for can't be done; nothing is left half-written but a folder
            `.partial` that the same call resumes.
    """
    paths = as_paths(data)
    options["split"] = strategy = split_strategy(options["split"])
    inputs = find_inputs(paths, options, listener=listener)
    plan = make_plan(inputs, strategy)
    out = Path(options["out"]) if options["out"] else None
    name = run_name(inputs.recipe.name, paths)
    with (
        run_folder(out, name, plan.request(), resume=options["resume"]) as folder,
        log_to_file(folder / "log.jsonl"),
    ):
        _log_plan(plan)
        plan = replace(plan, inputs=inputs.with_backbone(listener))
        trainer = plan.inputs.setup().trainer(listener)
        trained = _train_once(plan, trainer, folder, tensorboard=options["tensorboard"])
        random = None
        if options["compare_random_split"]:
            random = _train_random_split(plan, trainer, folder)
        listener(Progress("Reporting", 0, 1))
        run = Run(
            folder=final_path(folder),
            record=plan.inputs.record(
                "train",
                options,
                final_path(folder),
                split=plan.split_description,
                seconds=trained.seconds,
            ),
            catalog=inputs.catalog,
            evaluation=trained.evaluation,
            recipe=inputs.recipe,
            split=plan.split,
            validation=trained.validation,
            history=trained.history,
            settings=trained.detector.settings,
            parameters=trainer.parameters,
            random_split=random.evaluation if random else None,
        )
        plan.inputs.save_pretraining(folder)
        write_run(run, folder)
        figures = draw_figures(
            run, trainer.views.plain, folder / "figures",
            training_views=_training_views(plan, trainer),
        )  # fmt: skip
        write_report(Report(run, audit(inputs.catalog), figures), folder / REPORT_FILE)
        listener(Progress("Reporting", 1, 1))
        logger.info("test: %s", {n: e.value for n, e in run.scores.estimates.items()})
    return run


@dataclass(frozen=True, eq=False)
class _Trained:
    """What one training on one split gave."""

    detector: Detector
    evaluation: Evaluation
    validation: Predictions
    history: pd.DataFrame
    seconds: float


def _log_plan(plan: Plan) -> None:
    inputs, usable = plan.inputs, plan.inputs.usable
    unusable = len(inputs.catalog) - len(usable)
    sizes = {part: len(rows) for part, rows in plan.split.parts.items()}
    logger.info("%d slices of %s; %d can't be used", len(usable), usable.classes, unusable)
    logger.info("split %s: %s", plan.strategy, sizes)
    logger.info(
        "recipe %s, weights %s, seed %d", inputs.recipe.name, inputs.weights.name, inputs.seed
    )


def _train_once(
    plan: Plan, trainer: Trainer, folder: Path, *, tensorboard: bool = False
) -> _Trained:
    """Train on the plan's split; leaves the detector in `folder`."""
    split, usable = plan.split, plan.inputs.usable
    began = time.monotonic()
    train_rows, validation_rows = learnable(usable, trainer, split, seed=plan.inputs.seed)
    history = trainer.train(
        train_rows,
        validation_rows,
        seed=plan.inputs.seed,
        folder=folder / CHECKPOINTS,
        tensorboard=folder / "tensorboard" if tensorboard else None,
    )
    seconds = time.monotonic() - began
    detector = _export(trainer, plan, train_rows, validation_rows, folder / "detector")
    rows = np.concatenate([split.validation, split.test])
    probabilities, distances = detector.predict_views(trainer.views.plain[rows])
    predictions = Predictions.of_detector(
        usable, rows, probabilities, distances, detector.settings.rules
    )
    n = len(split.validation)
    return _Trained(
        detector,
        Evaluation(predictions.take(np.arange(n, len(rows))), plan.leaked),
        predictions.take(np.arange(n)),
        history,
        seconds,
    )


def _train_random_split(plan: Plan, trainer: Trainer, folder: Path) -> _Trained:
    """The same training on a random split; only its numbers are kept."""
    inner = folder / CHECKPOINTS / "random-split"
    (inner / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    return _train_once(plan.with_random_split(), trainer, inner)


def _export(
    trainer: Trainer,
    plan: Plan,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    folder: Path,
) -> Detector:
    """Calibrate on validation slices, and export with the rules chosen there."""
    inputs = plan.inputs
    usable, classes = inputs.usable, inputs.catalog.classes
    rules = calibrate(
        trainer.probabilities(validation_rows), usable.labels[validation_rows], classes,
        operating_point=inputs.operating_point, alpha=inputs.alpha,
    )  # fmt: skip
    seen, rows = np.concatenate([train_rows, validation_rows]), plan.split.validation
    everything = np.arange(len(usable))
    features = trainer.ood_features(everything)
    corrupted = trainer.ood_features(everything, CORRUPTED)
    ood_threshold = fit_ood_threshold(features[seen], corrupted[seen], usable.groups[seen])
    if ood_threshold is None:
        logger.warning("In training and validation %s.", NO_OOD_THRESHOLD)
    reference = fit_mahalanobis(np.concatenate([features[seen], corrupted[seen]]))
    rules = replace(rules, ood_threshold=ood_threshold, planes=planes_of(usable.table))
    # Of a volume, all slices count, whether they were learned from or not.
    probabilities = apply_temperature(trainer.probabilities(rows), rules.temperature)
    distances = reference.distances(features[rows])
    validation = Predictions.of_detector(usable, rows, probabilities, distances, rules)
    rules = calibrate_studies(validation, top_fraction=inputs.recipe.top_fraction)
    trainer.export(
        folder,
        classes=classes,
        rules=rules,
        reference=reference,
        parity_rows=plan.split.test[:_PARITY_SLICES],
    )
    fit_site_reference(
        trainer.views.plain, features, corrupted, usable.groups, plan.split, seen, probabilities,
        seed=inputs.seed,
    ).save(folder)  # fmt: skip
    return load(folder)


def _training_views(plan: Plan, trainer: Trainer) -> list[np.ndarray]:
    """The first views of the first epoch, as training was fed them."""
    train = plan.split.train
    order = epoch_order(len(train), seed=plan.inputs.seed, epoch=1)[:_VIEWS_SHOWN]
    return list(trainer.views.take(1, train[order]))
