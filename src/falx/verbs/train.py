"""`train`: from a folder of slices to a run folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from falx import defaults
from falx.data.catalog import Catalog
from falx.data.class_names import has_negative
from falx.data.split import Split
from falx.detect.detector import Detector, load
from falx.evaluation.calibrate import calibrate, tempered
from falx.evaluation.metrics import Scores
from falx.evaluation.results import Results
from falx.evaluation.studies import choose_share, find_studies
from falx.evaluation.trust import Trust
from falx.exporting.detector import export_detector
from falx.logs import logged_to
from falx.model.deployed import Deployed
from falx.model.network import cool
from falx.progress import Listener, Progress, silent
from falx.recipe import Precision, Recipe
from falx.runfolder import CHECKPOINTS, final_path, run_folder
from falx.training.batches import epoch_order
from falx.training.fit import Trainer
from falx.training.reference import NO_LIMIT, familiar_limit, fit_reference
from falx.training.views import Views
from falx.verbs.basis import find_basis, run_name
from falx.verbs.plan import Plan, make_plan
from falx.verbs.write_run import Outcome, write_run

logger = logging.getLogger(__name__)
_FED = 24
_CHECKED = 32


@dataclass(frozen=True)
class Trained:
    """What `train` hands back.

    Attributes:
        folder: the run folder, whole.
        counts: usable slices of each class.
        scores: on the test part.
        trust: what calibration, referral and refusal are worth there.
        blind: the same recipe on a random split, where asked for.
        pretraining: what environment.json says of it, where asked for.
    """

    folder: Path
    counts: dict[str, int]
    scores: Scores
    trust: Trust
    blind: Scores | None
    pretraining: dict[str, Any] | None = None


def train(
    data: str | Path,
    *,
    recipe: str | Path | Recipe = defaults.RECIPE,
    changes: Mapping[str, str] | None = None,
    weights: str = defaults.WEIGHTS,
    split: str = defaults.SPLIT,
    seed: int = 0,
    out: str | Path | None = None,
    positive: str | None = None,
    resume: bool | None = None,
    show_leak: bool = False,
    tensorboard: bool = False,
    operating_point: str = defaults.OPERATING_POINT,
    error: float = defaults.ERROR,
    precision: Precision = "fp32",
    bank_gb: float = defaults.BANK_GB,
    pretrain_on: str | Path | None = None,
    listener: Listener = silent,
) -> Trained:
    """Audit, split, train, evaluate and report; the run folder is complete or absent.

    Args:
        data: a folder with a subfolder a class, or a CSV or Parquet file.
        recipe: a recipe, its name, or its YAML file; `changes` override fields of it.
        weights: "imagenet", "phantom", "random", or the path of backbone weights.
        split: "70/15/15" or other shares (by group), "random" (blind to groups), "given" (as the
            data came), or a CSV file with path and part.
        out: the folder to be made; by default `runs/<time>-<recipe>-<data>`.
        positive: which of two classes is the positive one.
        resume: see falx.runfolder.run_folder.
        show_leak: train once more on a random split and report what copies are worth.
        tensorboard: keep logs for TensorBoard in the run folder.
        operating_point: what the threshold of two classes is chosen for, on validation slices: a
            probability such as "0.5", "youden", or a sensitivity such as "sensitivity=0.95".
        error: share of slices whose true class may be held impossible; the smaller, the more are
            referred.
        precision: of the arithmetic of convolutions while training: "fp32", or "bf16" where the
            processor has it, up to twice as fast there. What is exported computes in float32.
        bank_gb: the most that views and features may take on disk, in gigabytes.
        pretrain_on: another dataset, of any classes, that the backbone learns first; slices of it
            that share a group with one of `data` are left out.

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
    plan = make_plan(basis, split)
    name = run_name(basis.recipe.name, source)
    with (
        run_folder(Path(out) if out else None, name, plan.request(), resume=resume) as folder,
        logged_to(folder / "log.jsonl"),
    ):
        _log_plan(plan)
        plan = replace(plan, basis=basis.with_backbone(bank_gb, listener))
        trainer = plan.basis.setup(bank_gb).trainer(listener)
        outcome = _train_once(plan, trainer, folder, tensorboard)
        blind = _train_blind(plan, trainer, folder) if show_leak else None
        listener(Progress("Reporting", 0, 1))
        write_run(folder, plan, outcome, blind)
        listener(Progress("Reporting", 1, 1))
        logger.info("test: %s", {name: e.value for name, e in outcome.scores.estimates.items()})
    return Trained(
        folder=final_path(folder),
        counts=basis.usable.counts,
        scores=outcome.scores,
        trust=outcome.trust,
        blind=blind.scores if blind else None,
        pretraining=plan.basis.pretraining(),
    )


def _log_plan(plan: Plan) -> None:
    basis, usable = plan.basis, plan.basis.usable
    unusable = len(basis.catalog) - len(usable)
    logger.info("%d slices of %s; %d can't be used", len(usable), usable.classes, unusable)
    logger.info("split %s: %s", plan.how, {k: len(rows) for k, rows in vars(plan.split).items()})
    logger.info("recipe %s, weights %s, seed %d", basis.recipe.name, basis.weights.name, basis.seed)


def _train_once(plan: Plan, trainer: Trainer, folder: Path, tensorboard: bool) -> Outcome:
    """Train on the plan's split; leaves the detector in `folder`."""
    split, views = plan.split, trainer.views
    began = time.monotonic()
    history = trainer.train(
        split.train,
        split.validation,
        seed=plan.basis.seed,
        folder=folder / CHECKPOINTS,
        tensorboard=folder / "tensorboard" if tensorboard else None,
    )
    seconds = time.monotonic() - began
    detector = _deploy(trainer, plan, folder / "detector")
    results = _results(detector, plan.basis.usable, split, views)
    test = results.part("test")
    scores = test.scores()
    return Outcome(
        results=results,
        scores=scores,
        trust=test.trust(scores),
        studies=test.study_scores(),
        twins=int(plan.twins.sum()),
        without_twins=test.scores_without(plan.twins),
        history=history,
        seconds=seconds,
        fed=_fed(plan, views),
        parameters=trainer.network.count_params(),
    )


def _train_blind(plan: Plan, trainer: Trainer, folder: Path) -> Outcome:
    """The same training on a random split; only its numbers are kept."""
    inner = folder / CHECKPOINTS / "random-split"
    (inner / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    return _train_once(plan.blind(), trainer, inner, False)


def _deploy(trainer: Trainer, plan: Plan, folder: Path) -> Detector:
    """Calibrate on validation slices and export, with rules that were chosen there.

    The trainer's network gives calibrated logits from here on; its next training begins anew.
    """
    basis, split, plain = plan.basis, plan.split, trainer.views.plain
    usable, classes = basis.usable, basis.catalog.classes
    given = trainer.probabilities(split.validation)
    rules = calibrate(
        given, usable.labels[split.validation], classes,
        operating_point=basis.operating_point, error=basis.error,
    )  # fmt: skip
    seen = np.concatenate([split.train, split.validation])
    features = trainer.reference_features(seen)
    limit = familiar_limit(features, usable.groups[seen])
    if limit is None:
        logger.warning("In training and validation %s.", NO_LIMIT)
    rules = replace(
        rules,
        limit=limit,
        study_share=_study_share(plan, tempered(given, rules.temperature)),
    )
    cool(trainer.network, rules.temperature)
    export_detector(
        Deployed(trainer.network, fit_reference(features), basis.recipe.mirrored),
        folder,
        recipe=basis.recipe,
        classes=classes,
        rules=rules,
        check=plain[split.test[:_CHECKED]],
    )
    return load(folder)


def _study_share(plan: Plan, chances: np.ndarray) -> float:
    """The recipe's, or that which is best on validation slices, of probabilities (n, classes)."""
    fixed = plan.basis.recipe.study_share
    if fixed != "validation":
        return fixed
    rows, usable = plan.split.validation, plan.basis.usable
    negative = has_negative(usable.classes)
    studies = find_studies(usable.table.iloc[rows], usable.labels[rows], negative=negative)
    return choose_share(studies, chances, negative=negative)


def _results(detector: Detector, usable: Catalog, split: Split, views: Views) -> Results:
    rows = np.concatenate([split.validation, split.test])
    parts = np.repeat(["validation", "test"], [len(split.validation), len(split.test)])
    shown = views.plain[rows]
    return Results.of(
        usable, rows, parts, *detector.answers(shown), rules=detector.settings.rules,
        views=views.plain,
    )  # fmt: skip


def _fed(plan: Plan, views: Views) -> list[np.ndarray]:
    """The first views of the first epoch, as training was fed them."""
    train = plan.split.train
    order = epoch_order(len(train), seed=plan.basis.seed, epoch=1)[:_FED]
    return list(views.take(1, train[order]))
