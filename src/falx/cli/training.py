"""Commands that train."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from falx.cli.parameters import DataArguments, assignments, with_options
from falx.cli.terminal import say, show_next, working
from falx.parallel import cores
from falx.runs.options import CrossvalOptions, DemoOptions, PretrainOptions, TrainOptions

MAX_JOBS = 8
"""Folds in parallel where no number is asked for; each takes about a gigabyte."""


@with_options(TrainOptions)
def train(data: DataArguments, **options: Any) -> None:
    """Audit, split, train, evaluate and report."""
    with working("falx train", keras=False) as listener:
        from falx.cli.tables import show_run
        from falx.reporting.words.next_steps import next_steps
        from falx.verbs.train import train as run_training

        options["changes"] = assignments(options["changes"])
        run = run_training(data, **options, listener=listener)
    random = run.random_split
    show_run(run, {"test": run.scores, "random split": random.scores if random else None})
    show_next(run.folder, next_steps(run))


@with_options(CrossvalOptions)
def crossval(data: DataArguments, **options: Any) -> None:
    """Cross-validate: test every slice with networks that never saw it or its group."""
    with working("falx crossval", keras=False) as listener:
        from falx.cli.tables import show_label_issues, show_run
        from falx.reporting.words.next_steps import next_steps
        from falx.verbs.crossval import crossval as run_crossval

        options["changes"] = assignments(options["changes"])
        options["jobs"] = options["jobs"] or min(cores(), MAX_JOBS)
        run = run_crossval(data, **options, listener=listener)
    show_run(run, {"out of fold": run.scores})
    show_label_issues(run)
    show_next(run.folder, next_steps(run))


@with_options(DemoOptions)
def demo(**options: Any) -> None:
    """Generate synthetic slices, train on them, test on others, report; no data needed."""
    with working("falx demo") as listener:
        from falx.cli.tables import show_heat_map_scores, show_scores
        from falx.reporting.words.next_steps import next_steps
        from falx.verbs.demo import demo as run_demo

        done = run_demo(**options, listener=listener)
    show_scores({"test": done.training.scores, "other phantoms": done.evaluation.scores})
    show_heat_map_scores(done.evaluation.evaluation)
    show_next(done.training.folder, next_steps(done.training))


@with_options(PretrainOptions)
def pretrain(
    data: Annotated[
        list[Path] | None,
        typer.Argument(help="Datasets to learn from beside phantoms, as train takes them."),
    ] = None,
    **options: Any,
) -> None:
    """Pretrain a backbone to find tumors, for train --weights OUT/backbone.weights.h5."""
    with working("falx pretrain") as listener:
        from falx.verbs.pretrain import WEIGHTS_FILE
        from falx.verbs.pretrain import pretrain as run_pretraining

        done = run_pretraining(data or (), **options, listener=listener)
    last = done.history.iloc[-1]
    say(
        f"On other phantoms: AUC {last['auc']:.3f}, peak of the map on the tumor in "
        f"{last['pointing']:.0%}"
    )
    command = f"falx train DATA --weights {shlex.quote(str(done.folder / WEIGHTS_FILE))}"
    show_next(done.folder, (("Train from it", command),))
