"""`train`: from a folder of slices to a run folder."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

import falx
from falx.data.audit import audit
from falx.data.catalog import Catalog, build_catalog
from falx.data.split import (
    Split,
    given_split,
    read_split,
    split_at_random,
    split_by_group,
    split_table,
    twins_in_training,
)
from falx.detect.detector import Detector, load
from falx.environment import environment
from falx.errors import BadInput
from falx.evaluation.metrics import Scores
from falx.evaluation.report import PartCounts, Report
from falx.evaluation.report_page import write_report
from falx.evaluation.results import Results, draw_figures, draw_training, write_results
from falx.evaluation.studies import SHARES, choose_share, find_studies
from falx.export.openvino import export_detector
from falx.logs import logged_to
from falx.model.network import build_network
from falx.model.weights import Weights, find_weights
from falx.progress import Listener, silent
from falx.recipe import DEFAULT_RECIPE, Recipe, load_recipe
from falx.runfolder import CHECKPOINTS, final_path, run_folder
from falx.training.fit import fit
from falx.training.views import Examples, render_examples, training_view

logger = logging.getLogger(__name__)
DEFAULT_SPLIT = "70/15/15"


@dataclass(frozen=True)
class Trained:
    """What `train` hands back.

    Attributes:
        folder: the run folder, whole.
        scores: on the test part.
        blind: the same recipe on a random split, where asked for.
    """

    folder: Path
    scores: Scores
    blind: Scores | None


def train(
    data: str | Path,
    *,
    recipe: str | Path | Recipe = DEFAULT_RECIPE,
    changes: Mapping[str, str] | None = None,
    weights: str = "imagenet",
    split: str = DEFAULT_SPLIT,
    seed: int = 0,
    out: str | Path | None = None,
    positive: str | None = None,
    resume: bool | None = None,
    show_leak: bool = False,
    tensorboard: bool = False,
    listener: Listener = silent,
) -> Trained:
    """Audit, split, train, evaluate and report; the run folder is complete or absent.

    Args:
        data: a folder with a subfolder a class, or a CSV or Parquet file.
        recipe: a recipe, its name, or its YAML file; `changes` override fields of it.
        weights: "imagenet", "random", or the path of backbone weights.
        split: "70/15/15" or other shares (by group), "random" (blind to groups), "given" (as the
            data came), or a CSV file with path and part.
        out: the folder to be made; by default `runs/<time>-<recipe>-<data>`.
        positive: which of two classes is the positive one.
        resume: see falx.runfolder.run_folder.
        show_leak: train once more on a random split and report what copies are worth.

    Raises:
        FalxError: what was asked for can't be done; nothing is left half-written but a folder
            `.partial` that the same call takes up again.
    """
    source = Path(data)
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    chosen = chosen.changed(changes or {})
    found = find_weights(weights, chosen.backbone)
    catalog = build_catalog(source, positive=positive, listener=listener)
    parted = make_split(split, catalog.usable(), seed)
    plan = _Plan(catalog, chosen, found, parted, split, seed)
    name = f"{chosen.name}-{_plain(source.stem)}"
    with (
        run_folder(Path(out) if out else None, name, plan.request(), resume=resume) as folder,
        logged_to(folder / "log.jsonl"),
    ):
        _log_plan(plan)
        begun = time.perf_counter()
        outcome = _train_once(plan, folder, tensorboard, listener)
        blind = _train_blind(plan, folder, listener) if show_leak else None
        seconds = time.perf_counter() - begun
        command = _command(source, plan, weights, positive, changes or {}, recipe)
        _write_run(folder, plan, outcome, blind, seconds, command)
        logger.info("test: %s", {name: e.value for name, e in outcome.scores.estimates.items()})
    return Trained(final_path(folder), outcome.scores, blind.scores if blind else None)


def make_split(how: str, usable: Catalog, seed: int) -> Split:
    """The split that `--split` asks for.

    Raises:
        BadInput: it is none of the known forms.
        UnusableData: a class has fewer groups than parts.
    """
    labels, groups, table = usable.labels, usable.groups, usable.table
    if how == "random":
        return split_at_random(labels, seed=seed)
    if how == "given":
        return given_split(table["split"].tolist())
    if re.fullmatch(r"\d+/\d+/\d+", how):
        numbers = np.array([int(part) for part in how.split("/")], float)
        if numbers.sum() != 100:
            raise BadInput(f"The shares of --split must sum to 100, got {how}.")
        return split_by_group(labels, groups, shares=tuple(numbers / 100), seed=seed)
    if Path(how).is_file():
        return read_split(Path(how), table)
    raise BadInput(
        f"--split takes shares such as {DEFAULT_SPLIT}, 'random', 'given', or a CSV file, "
        f"not '{how}'."
    )


@dataclass(frozen=True)
class _Plan:
    """All that decides a training."""

    catalog: Catalog
    recipe: Recipe
    weights: Weights
    split: Split
    how: str
    seed: int

    def request(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that began."""
        return {
            "falx": falx.__version__,
            "data": data_digest(self.catalog),
            "recipe": self.recipe.model_dump(mode="json"),
            "weights": self.weights.sha256 or self.weights.name,
            "split": hashlib.sha256(self.split.names().astype("U").tobytes()).hexdigest(),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class _Outcome:
    """What one training gave."""

    results: Results
    scores: Scores
    studies: dict[str, Any] | None
    history: pd.DataFrame
    fed: list[np.ndarray]
    parameters: int


def data_digest(catalog: Catalog) -> str:
    """A SHA-256 over content, labels and order of a catalog's slices, wherever they lie."""
    table = catalog.table[["sha256", "index", "label", "patient"]]
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()


def _log_plan(plan: _Plan) -> None:
    usable, split = plan.catalog.usable(), plan.split
    unusable = len(plan.catalog) - len(usable)
    logger.info("%d slices of %s; %d can't be used", len(usable), usable.classes, unusable)
    logger.info("split %s: %s", plan.how, {k: len(rows) for k, rows in vars(split).items()})
    logger.info("recipe %s, weights %s, seed %d", plan.recipe.name, plan.weights.name, plan.seed)


def _train_once(plan: _Plan, folder: Path, tensorboard: bool, listener: Listener) -> _Outcome:
    """Train on the plan's split; leaves the detector in `folder`."""
    recipe, usable, split = plan.recipe, plan.catalog.usable(), plan.split
    classes = len(usable.classes)
    examples = render_examples(usable, recipe.rendering, listener=listener)
    keras.utils.set_random_seed(plan.seed)
    file = str(plan.weights.file) if plan.weights.file else None
    network = build_network(recipe, classes, file)
    history = fit(
        network,
        recipe,
        examples.take(split.train),
        examples.take(split.validation),
        classes=classes,
        seed=plan.seed,
        folder=folder / CHECKPOINTS,
        tensorboard=folder / "tensorboard" if tensorboard else None,
        listener=listener,
    )
    detector = _deploy(network, plan, examples, folder / "detector")
    results = _results(detector, usable, split, examples)
    test = results.part("test")
    return _Outcome(
        results=results,
        scores=test.scores(),
        studies=test.study_scores(detector.settings.study_share),
        history=history,
        fed=_fed(plan, examples.take(split.train)),
        parameters=network.count_params(),
    )


def _train_blind(plan: _Plan, folder: Path, listener: Listener) -> _Outcome:
    """The same training on a random split; only its numbers are kept."""
    usable = plan.catalog.usable()
    split = split_at_random(usable.labels, seed=plan.seed)
    blind = _Plan(plan.catalog, plan.recipe, plan.weights, split, "random", plan.seed)
    inner = folder / CHECKPOINTS / "random-split"
    (inner / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    return _train_once(blind, inner, False, listener)


def _deploy(network: keras.Model, plan: _Plan, examples: Examples, folder: Path) -> Detector:
    """Export with the default study rule, then choose it on validation."""
    recipe, classes = plan.recipe, plan.catalog.classes
    fixed = recipe.study_share
    share = SHARES[0] if fixed == "validation" else fixed
    check = examples.views[plan.split.test[:32]]
    export_detector(network, folder, recipe=recipe, classes=classes, study_share=share, check=check)
    detector = load(folder)
    if fixed == "validation":
        rows = plan.split.validation
        usable = plan.catalog.usable()
        studies = find_studies(usable.table.iloc[rows], usable.labels[rows])
        share = choose_share(studies, detector.probabilities(examples.views[rows]))
        detector = detector.with_study_share(share)
        detector.settings.save(folder)
    return detector


def _results(detector: Detector, usable: Catalog, split: Split, examples: Examples) -> Results:
    rows = np.concatenate([split.validation, split.test])
    parts = np.repeat(["validation", "test"], [len(split.validation), len(split.test)])
    views = examples.views[rows]
    chances = detector.probabilities(views)
    threshold = detector.settings.threshold
    return Results.of(usable, rows, parts, chances, threshold=threshold, views=views)


def _fed(plan: _Plan, train: Examples) -> list[np.ndarray]:
    """The first views of the first epoch, drawn as training drew them."""
    ranges, count = plan.recipe.augmentation, min(24, len(train))
    order = np.random.default_rng((plan.seed, 0)).permutation(len(train))[:count]
    return [
        training_view(train.views[r], ranges, seed=plan.seed, epoch=0, row=int(r)) for r in order
    ]


def _write_run(
    folder: Path,
    plan: _Plan,
    outcome: _Outcome,
    blind: _Outcome | None,
    seconds: float,
    command: str,
) -> None:
    usable, split = plan.catalog.usable(), plan.split
    (folder / "recipe.yaml").write_text(plan.recipe.to_yaml(), "utf-8")
    plan.catalog.save(folder / "catalog.parquet")
    split_table(usable.table, split).to_csv(folder / "split.csv", index=False)
    outcome.history.to_csv(folder / "history.csv", index=False)
    about = {
        **environment(),
        "seed": plan.seed,
        "backend": keras.backend.backend(),
        "weights": {"name": plan.weights.name, "sha256": plan.weights.sha256},
        "data": {"name": usable.root.name, "sha256": data_digest(plan.catalog)},
        "training_seconds": round(seconds, 1),
        "command": command,
    }
    (folder / "environment.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    blind_scores = blind.scores if blind else None
    blind_entry = blind_scores.as_dict() if blind_scores else None
    write_results(
        folder, outcome.results, outcome.scores, studies=outcome.studies, random_split=blind_entry
    )
    twins = int(twins_in_training(split, usable.groups).sum())
    test = outcome.results.part("test")
    figures = draw_figures(folder / "figures", test, outcome.scores)
    figures += draw_training(folder / "figures", outcome.history, outcome.fed)
    final = final_path(folder)
    report = Report(
        title=f"{plan.recipe.name} on {usable.root.name}",
        audit=audit(plan.catalog),
        recipe=plan.recipe,
        scores=outcome.scores,
        split=split_name(plan.how),
        parts=part_counts(usable, split),
        twins=twins,
        blind=blind_scores,
        blind_twins=_blind_twins(usable, plan.seed) if blind else 0,
        figures=figures,
        errors=test.mistakes(),
        parameters=outcome.parameters,
        seconds=seconds,
        environment=about,
        command=command,
        next_steps=next_steps(final),
        study=outcome.studies,
    )
    write_report(report, folder / "report.html")


def split_name(how: str) -> str:
    """A split in words."""
    if how in {"random", "given"}:
        return {"random": "random 70/15/15, blind to copies", "given": "as the data came"}[how]
    return f"leak-free {how}" if "/" in how and not Path(how).exists() else f"from {how}"


def part_counts(usable: Catalog, split: Split) -> tuple[PartCounts, ...]:
    """Slices and groups of each part."""
    labels, groups = usable.labels, usable.groups
    return tuple(
        PartCounts(
            part=name,
            counts={c: int((labels[rows] == code).sum()) for code, c in enumerate(usable.classes)},
            groups=len(np.unique(groups[rows])),
        )
        for name, rows in (
            ("train", split.train),
            ("validation", split.validation),
            ("test", split.test),
        )
    )


def next_steps(run: Path) -> tuple[tuple[str, str], ...]:
    """What one does with a run, and the commands for it."""
    quoted = shlex.quote(str(run))
    return (
        ("Read the report", f"{quoted}/report.html"),
        ("Classify images", f"falx predict {quoted} IMAGE..."),
        ("Test on other data", f"falx evaluate {quoted} DATA"),
    )


def _blind_twins(usable: Catalog, seed: int) -> int:
    split = split_at_random(usable.labels, seed=seed)
    return int(twins_in_training(split, usable.groups).sum())


def _command(
    source: Path,
    plan: _Plan,
    weights: str,
    positive: str | None,
    changes: Mapping[str, str],
    recipe: str | Path | Recipe,
) -> str:
    name = recipe.name if isinstance(recipe, Recipe) else str(recipe)
    words = ["falx", "train", str(source), "--recipe", name, "--weights", weights]
    words += ["--split", plan.how, "--seed", str(plan.seed)]
    words += ["--positive", positive] if positive else []
    for field, value in changes.items():
        words += ["--set", f"{field}={value}"]
    return shlex.join(words)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "data"
