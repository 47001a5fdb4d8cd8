"""The command line: one command a verb, no logic.

What a person reads goes to standard error or, where it is the answer itself, to standard output;
what a pipe wants goes to standard output. Exit codes: 0 done, 2 wrong use or data that can't be
used, 3 `--strict` and something was left out, 130 stopped by the user.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from falx import defaults
from falx.errors import BadInput, FalxError
from falx.notice import NOTICE
from falx.progress import Listener

app = typer.Typer(
    name="falx",
    help=f"From a folder of brain MRI slices to a tumor detector that one can trust.\n\n{NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_STORAGE_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
}

if TYPE_CHECKING:
    from falx.evaluation.metrics import Scores

_MOST_JOBS = 8
"""Processes side by side where nothing else is asked for; each takes about a gigabyte."""

DataArgument = Annotated[
    Path, typer.Argument(help="A folder with a subfolder a class, or a CSV or Parquet file.")
]
RunArgument = Annotated[Path, typer.Argument(help="A run folder, or its detector/.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="The folder to be made, itself.")]
PositiveOption = Annotated[
    str | None, typer.Option("--positive", help="Which of two classes is the positive one.")
]
RecipeOption = Annotated[str, typer.Option("--recipe", help="Name of a recipe, or a YAML file.")]
WeightsOption = Annotated[
    str,
    typer.Option(
        "--weights", help="'imagenet', 'phantom', 'random', or the path of backbone weights."
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, max=defaults.MOST_SEED, help="Decides every random draw."),
]
ChangesOption = Annotated[
    list[str] | None, typer.Option("--set", help="FIELD=VALUE; overrides the recipe.")
]
ResumeOption = Annotated[
    bool | None,
    typer.Option(
        "--resume/--no-resume",
        help="Demand an unfinished run of this command, or start over; by default go on where "
        "there is one.",
    ),
]
PrecisionOption = Annotated[
    Literal["fp32", "bf16"],
    typer.Option(help="Arithmetic of convolutions; bf16 is faster where the processor has it."),
]
BankOption = Annotated[
    float, typer.Option("--bank-gb", help="The most that views and features may take on disk.")
]


def main() -> None:
    """Run the command line; an error that a user can cause is one sentence and exit code 2."""
    try:
        app()
    except FalxError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            raise
        where = f" '{error.filename}'" if error.filename else ""
        _fail(
            f"Reading or writing{where} failed ({error.strerror or error}); make room or allow it, "
            "then run the same command again: a training goes on where it stopped."
        )


def _show_version(asked: bool) -> None:
    if asked:
        from falx import __version__

        typer.echo(f"falx {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    offline: Annotated[
        bool, typer.Option("--offline", envvar="FALX_OFFLINE", help="Never open a network socket.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the library's log.")
    ] = False,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    from falx.console import show_log

    show_log(verbose)
    if offline:
        from falx.offline import forbid_network

        forbid_network()


@app.command()
def audit(
    data: DataArgument,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything as JSON; - for a pipe.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write a page with thumbnails.")
    ] = None,
    positive: PositiveOption = None,
) -> None:
    """Look for copies, leaks, foreign images and shortcuts in a dataset."""
    from falx import console
    from falx.extras import needs

    with needs("train", "falx audit"), console.progress() as listener:
        from falx.data.audit import audit as look
        from falx.data.catalog import build_catalog

        found = look(build_catalog(data, positive=positive, listener=listener))
    if json_file != Path("-"):
        console.show_audit(found)
    if json_file:
        console.write_json(json_file, found.as_dict())
    if html_file:
        from falx.evaluation.audit_page import write_audit_page

        write_audit_page(found, html_file)
        console.say(f"Wrote {html_file}")


@app.command()
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
    precision: PrecisionOption = "fp32",
    bank_gb: BankOption = defaults.BANK_GB,
) -> None:
    """Audit, split, train, evaluate and report."""
    from falx import console

    with _training("falx train") as listener:
        from falx.verbs.train import train as run_training
        from falx.verbs.write_run import next_steps

        trained = run_training(
            data,
            recipe=recipe,
            changes=_pairs(changes or []),
            weights=weights,
            split=split,
            seed=seed,
            out=out,
            positive=positive,
            resume=resume,
            show_leak=show_leak,
            tensorboard=tensorboard,
            precision=precision,
            bank_gb=bank_gb,
            listener=listener,
        )
    console.show_scores({"test": trained.scores, "random split": trained.blind})
    _warn_of_chance(trained.scores)
    console.show_next(trained.folder, next_steps(trained.folder))


@app.command()
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
    precision: PrecisionOption = "fp32",
    bank_gb: BankOption = defaults.BANK_GB,
) -> None:
    """Test every slice by networks that never saw it, and report."""
    from falx import console

    with _training("falx crossval") as listener:
        from falx.parallel import cores
        from falx.verbs.crossval import crossval as run_crossval
        from falx.verbs.crossval import next_steps

        done = run_crossval(
            data,
            folds=folds,
            repeats=repeats,
            jobs=jobs or min(cores(), _MOST_JOBS),
            recipe=recipe,
            changes=_pairs(changes or []),
            weights=weights,
            seed=seed,
            out=out,
            positive=positive,
            resume=resume,
            precision=precision,
            bank_gb=bank_gb,
            listener=listener,
        )
    console.show_scores({"out of fold": done.scores})
    _warn_of_chance(done.scores)
    console.show_next(done.folder, next_steps(done.folder, done.train_command))


@app.command()
def evaluate(
    run: RunArgument,
    data: DataArgument,
    out: OutOption = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder of tumor masks, as falx phantom writes, to hold heat maps to."),
    ] = None,
    bank_gb: BankOption = defaults.BANK_GB,
) -> None:
    """Test a detector on labeled slices."""
    from falx import console

    with _training("falx evaluate") as listener:
        from falx.verbs.evaluate import evaluate as run_evaluation

        done = run_evaluation(run, data, out=out, masks=masks, bank_gb=bank_gb, listener=listener)
    if done.twins:
        seen = f"{done.twins} of {done.scores.n} slices have a twin among those that the run saw"
        console.warn(f"{seen}.")
    console.show_scores({"all": done.scores, "without twins": done.without_twins})
    if done.maps:
        console.show_map_scores(done.maps)
    console.show_next(done.folder, (("Read the report", f"{done.folder}/report.html"),))


@app.command()
def predict(
    run: RunArgument,
    paths: Annotated[list[str], typer.Argument(help="Files, folders, glob patterns.")],
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write a row a slice; - for a pipe.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything as JSON; - for a pipe.")
    ] = None,
    heat_maps: Annotated[
        Path | None, typer.Option("--heatmaps", help="Draw where the evidence lies, in a folder.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if a file could not be read.")
    ] = False,
) -> None:
    """Classify slices; those of one study also get one answer together."""
    from falx import console, findings_io
    from falx.detect.detector import load

    detector = load(run)
    if heat_maps:
        from falx.detect.overlay import make_folder, write_overlays

        make_folder(heat_maps)
    with console.progress() as listener:
        findings = detector.predict(paths, listener=listener)
        if heat_maps:
            write_overlays(findings.slices, heat_maps, listener=listener)
    if Path("-") not in (csv_file, json_file):
        console.show_findings(findings)
    if heat_maps:
        console.say(f"Wrote {len(findings.slices)} pictures to {heat_maps}")
    if csv_file:
        console.write_text(csv_file, findings_io.as_csv(findings))
    if json_file:
        console.write_json(json_file, findings_io.as_dict(findings))
    if strict and findings.unreadable:
        raise typer.Exit(3)
    if not findings.slices:
        _fail(f"None of {len(findings.unreadable)} files could be read; name images.")


@app.command()
def demo(
    out: OutOption = None,
    n: Annotated[int, typer.Option("--slices", "-n", min=60, help="Slices to draw.")] = (
        defaults.DEMO_SLICES
    ),
    seed: SeedOption = 0,
) -> None:
    """Draw synthetic slices, train on them, test on others, and report: no data needed."""
    from falx import console

    with _training("falx demo") as listener:
        from falx.verbs.demo import demo as run_demo
        from falx.verbs.write_run import next_steps

        done = run_demo(out, n=n, seed=seed, listener=listener)
    folder = done.trained.folder
    console.show_scores({"test": done.trained.scores, "other phantoms": done.others.scores})
    if done.others.maps:
        console.show_map_scores(done.others.maps)
    console.show_next(folder, next_steps(folder))


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="The folder to be made.")],
    n: Annotated[
        int, typer.Option("--slices", "-n", min=2, help="Slices to draw, half of each class.")
    ] = 200,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Side in pixels.")] = 224,
    seed: Annotated[int, typer.Option(min=0, help="Decides every random draw.")] = 0,
) -> None:
    """Draw synthetic slices with and without tumors."""
    from falx import console

    with console.progress() as listener:
        from falx.data.phantom import write_phantoms

        write_phantoms(out, n, seed=seed, size=size, listener=listener)
    console.say(f"Wrote {n} slices to {out}, and where their tumors are to {out}-masks")


@app.command()
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

    with _training("falx pretrain") as listener:
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


@app.command()
def doctor() -> None:
    """Show versions, processor, caches, weights and extras."""
    from falx import console
    from falx.verbs.doctor import doctor as look

    with console.native_silence():
        checks = look()
    console.show_checks(checks)


@contextmanager
def _training(feature: str) -> Iterator[Listener]:
    """What every verb that needs Keras runs in: its extra, a silent start, a bar."""
    from falx import console
    from falx.extras import needs

    with needs("train", feature):
        with console.native_silence():
            import keras  # noqa: F401
        try:
            with console.progress(narrated=True) as listener:
                yield listener
        except KeyboardInterrupt:
            # Typer would end without a word.
            _fail(
                "Stopped; the same command goes on from the last checkpoint, if one was written.",
                code=130,
            )


def _warn_of_chance(scores: Scores) -> None:
    from falx import console

    auc = scores.estimates["roc_auc"]
    if not auc.low > 0.5:
        console.warn(
            f"This test can't tell the detector from chance: its AUC is {auc}; train on more "
            "slices, with pretrained weights, or longer."
        )


def _pairs(changes: list[str]) -> dict[str, str]:
    pairs = {}
    for change in changes:
        field, equals, value = change.partition("=")
        if not equals or not field:
            raise BadInput(f"--set takes FIELD=VALUE, such as head.dropout=0.3, not '{change}'.")
        pairs[field.strip()] = value
    return pairs


def _fail(message: str, code: int = 2) -> None:
    from falx import console

    logging.getLogger(__name__).debug("failed", exc_info=True)
    console.complain(message)
    sys.exit(code)


if __name__ == "__main__":
    main()
