"""Commands that train."""

from __future__ import annotations

from typing import Annotated

import typer

from falx import defaults
from falx.cli.shared import (
    BankOption,
    ChangesOption,
    DataArgument,
    ErrorOption,
    OperatingPointOption,
    OutOption,
    PositiveOption,
    PrecisionOption,
    PretrainOnOption,
    RecipeOption,
    ResumeOption,
    SeedOption,
    WeightsOption,
    pairs,
    tell_classes,
    tell_pretraining,
    training,
    warn_of_chance,
)

MOST_JOBS = 8
"""Processes side by side where nothing else is asked for; each takes about a gigabyte."""


def train(
    data: DataArgument,
    recipe: RecipeOption = defaults.RECIPE,
    weights: WeightsOption = defaults.WEIGHTS,
    split: Annotated[
        str, typer.Option(help="Shares (by group), 'random', 'given', or a CSV file.")
    ] = defaults.SPLIT,
    seed: SeedOption = 0,
    changes: ChangesOption = None,
    out: OutOption = None,
    positive: PositiveOption = None,
    resume: ResumeOption = None,
    show_leak: Annotated[
        bool, typer.Option("--show-leak", help="Also train on a random split, to compare.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Keep TensorBoard logs.")
    ] = False,
    operating_point: OperatingPointOption = defaults.OPERATING_POINT,
    error: ErrorOption = defaults.ERROR,
    precision: PrecisionOption = "fp32",
    bank_gb: BankOption = defaults.BANK_GB,
    pretrain_on: PretrainOnOption = None,
) -> None:
    """Audit, split, train, evaluate and report."""
    from falx import console

    with training("falx train") as listener:
        from falx.verbs.train import train as run_training
        from falx.verbs.write_run import next_steps

        trained = run_training(
            data,
            recipe=recipe,
            changes=pairs(changes or []),
            weights=weights,
            split=split,
            seed=seed,
            out=out,
            positive=positive,
            resume=resume,
            show_leak=show_leak,
            tensorboard=tensorboard,
            operating_point=operating_point,
            error=error,
            precision=precision,
            bank_gb=bank_gb,
            pretrain_on=pretrain_on,
            listener=listener,
        )
    tell_classes(trained.counts)
    tell_pretraining(trained.pretraining)
    console.show_scores({"test": trained.scores, "random split": trained.blind})
    console.show_trust(trained.trust)
    warn_of_chance(trained.scores)
    console.show_next(trained.folder, next_steps(trained.folder))


def crossval(
    data: DataArgument,
    folds: Annotated[int, typer.Option(min=2, help="Parts of the data.")] = defaults.FOLDS,
    repeats: Annotated[
        int, typer.Option(min=1, help="How often, with other folds and seeds.")
    ] = defaults.REPEATS,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side; one a core, up to 8.")
    ] = None,
    recipe: RecipeOption = defaults.RECIPE,
    weights: WeightsOption = defaults.WEIGHTS,
    seed: SeedOption = 0,
    changes: ChangesOption = None,
    out: OutOption = None,
    positive: PositiveOption = None,
    resume: ResumeOption = None,
    operating_point: OperatingPointOption = defaults.OPERATING_POINT,
    error: ErrorOption = defaults.ERROR,
    precision: PrecisionOption = "fp32",
    bank_gb: BankOption = defaults.BANK_GB,
    pretrain_on: PretrainOnOption = None,
) -> None:
    """Test every slice by networks that never saw it, and report."""
    from falx import console

    with training("falx crossval") as listener:
        from falx.parallel import cores
        from falx.verbs.crossval import crossval as run_crossval
        from falx.verbs.crossval import next_steps

        done = run_crossval(
            data,
            folds=folds,
            repeats=repeats,
            jobs=jobs or min(cores(), MOST_JOBS),
            recipe=recipe,
            changes=pairs(changes or []),
            weights=weights,
            seed=seed,
            out=out,
            positive=positive,
            resume=resume,
            operating_point=operating_point,
            error=error,
            precision=precision,
            bank_gb=bank_gb,
            pretrain_on=pretrain_on,
            listener=listener,
        )
    tell_classes(done.counts)
    tell_pretraining(done.pretraining)
    console.show_scores({"out of fold": done.scores})
    console.show_trust(done.trust)
    console.say_doubts(done.label_check)
    warn_of_chance(done.scores)
    console.show_next(done.folder, next_steps(done.folder, done.train_command))


def demo(
    out: OutOption = None,
    n: Annotated[int, typer.Option("--slices", "-n", min=60, help="Slices to draw.")] = (
        defaults.DEMO_SLICES
    ),
    seed: SeedOption = 0,
) -> None:
    """Draw synthetic slices, train on them, test on others, and report: no data needed."""
    from falx import console

    with training("falx demo") as listener:
        from falx.verbs.demo import demo as run_demo
        from falx.verbs.write_run import next_steps

        done = run_demo(out, n=n, seed=seed, listener=listener)
    folder = done.trained.folder
    console.show_scores({"test": done.trained.scores, "other phantoms": done.others.scores})
    if done.others.maps:
        console.show_map_scores(done.others.maps)
    console.show_next(folder, next_steps(folder))


def pretrain(
    slices: Annotated[
        int, typer.Option("--slices", "-n", min=1, help="Phantoms to learn from.")
    ] = defaults.PRETRAINING_SLICES,
    size: Annotated[int, typer.Option(help="Side of the largest views in pixels.")] = (
        defaults.PRETRAINING_SIZE
    ),
    batch: Annotated[int, typer.Option(min=2, help="Phantoms a step.")] = (
        defaults.PRETRAINING_BATCH
    ),
    small_share: Annotated[
        float, typer.Option(help="Share of the steps, the first, at 0.6 of that size.")
    ] = defaults.PRETRAINING_SMALL_SHARE,
    rate: Annotated[float, typer.Option(help="The highest learning rate.")] = (
        defaults.PRETRAINING_RATE
    ),
    weights: WeightsOption = "random",
    seed: SeedOption = 0,
    out: OutOption = None,
    resume: ResumeOption = None,
) -> None:
    """Train a backbone on phantoms alone; train takes it as --weights OUT/backbone.weights.h5."""
    from falx import console

    with training("falx pretrain") as listener:
        from falx.verbs.pretrain import WEIGHTS_FILE
        from falx.verbs.pretrain import pretrain as run_pretraining

        done = run_pretraining(
            out,
            slices=slices,
            size=size,
            batch=batch,
            small_share=small_share,
            rate=rate,
            seed=seed,
            weights=weights,
            resume=resume,
            listener=listener,
        )
    last = done.history.iloc[-1]
    console.say(
        f"On phantoms that it did not learn from: AUC {last['auc']:.3f}, hottest place on "
        f"{last['pointing']:.0%} of tumors"
    )
    train_with = f"falx train DATA --weights {done.folder / WEIGHTS_FILE}"
    console.show_next(done.folder, (("Train from it", train_with),))
