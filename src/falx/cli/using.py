"""Commands that put a detector to use."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from falx.cli.parameters import named_detector, run_and_data, with_options
from falx.cli.terminal import (
    fail,
    progress,
    say,
    say_written,
    show_next,
    working,
)
from falx.counting import count
from falx.logs import silence_native_stderr
from falx.runs.options import AdaptOptions, EvaluateOptions, PredictOptions
from falx.serialization import STANDARD_OUTPUT


@with_options(PredictOptions)
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, glob patterns. A run folder as the first one is the detector.",
            metavar="[RUN] PATHS...",
        ),
    ],
    detector_path: Annotated[
        Path | None,
        typer.Option(
            "--detector",
            help="A run folder, or the detector/ in it; by default the detector that ships with "
            "falx.",
        ),
    ] = None,
    **options: Any,
) -> None:
    """Classify slices, and the series and studies that they form."""
    from falx.cli.answers import show_findings
    from falx.verbs.predict import predict as run_prediction

    run, *paths = named_detector(paths, detector_path)
    strict, files = options.pop("strict"), [options["csv"], options["json"]]
    with progress() as listener:
        findings = run_prediction(run, paths, **options, listener=listener)
    if STANDARD_OUTPUT not in files:
        show_findings(findings)
    if options["heat_maps"]:
        say(f"Wrote {count(len(findings.slices), 'picture')} to {options['heat_maps']}")
    say_written(*files)
    if strict and findings.left_out:
        raise typer.Exit(3)
    if not findings.slices:
        n_files = len({each.path for each in findings.left_out})
        fail(f"None of {n_files} files holds an MR slice that can be used; give such files.")


@with_options(EvaluateOptions)
def evaluate(
    arguments: Annotated[
        list[str],
        typer.Argument(
            help="Labeled slices, as for falx train; before them a run folder, or the detector/ in "
            "it. By default, the detector that ships with falx is tested.",
            metavar="[RUN] DATA",
        ),
    ],
    **options: Any,
) -> None:
    """Test a detector on labeled slices."""
    run, data = run_and_data("falx evaluate", arguments)
    with working("falx evaluate", resumes=False, keras=False) as listener:
        from falx.cli.tables import show_dataset, show_evaluation
        from falx.reporting.words.next_steps import next_steps
        from falx.verbs.evaluate import evaluate as run_evaluation

        done = run_evaluation(run, data, **options, listener=listener)
    show_dataset(done)
    show_evaluation(done.evaluation)
    show_next(done.folder, next_steps(done)[:1])


@with_options(AdaptOptions)
def adapt(
    arguments: Annotated[
        list[str],
        typer.Argument(
            help="Slices of the place, labeled as for falx train; before them a run folder, or the "
            "detector/ in it. By default, the detector that ships with falx is adapted.",
            metavar="[RUN] LOCAL",
        ),
    ],
    **options: Any,
) -> None:
    """Adapt a detector to a place by a few patients, if labels show a significant gain."""
    run, local = run_and_data("falx adapt", arguments)
    with working("falx adapt", resumes=False, keras=False) as listener:
        from falx.cli.tables import show_adaptation, show_unlabeled
        from falx.runs.adaptation import Adaptation
        from falx.verbs.adapt import adapt as run_adaptation

        done = run_adaptation(run, local, **options, listener=listener)
    adaptation = done.adaptation
    steps = [("Use it", f"falx predict {shlex.quote(str(done.folder))} FILES")]
    if isinstance(adaptation, Adaptation):
        show_adaptation(adaptation)
        steps = steps if adaptation.taken else []
    else:
        show_unlabeled(adaptation)
    show_next(done.folder, steps)


def card(
    run: Annotated[Path, typer.Argument(help="The folder of a training or cross-validation.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write into; by default the run folder.")
    ] = None,
) -> None:
    """Write a model card: intended use, data, performance and limitations of a detector."""
    from falx.extras import needs

    with needs("train", "falx card"):
        from falx.verbs.card import card as write_card

        done = write_card(run, out=out)
    say(f"Wrote {done.markdown} and {done.html}")


def doctor() -> None:
    """Show versions, processor, caches, weights and extras."""
    from falx.cli.tables import show_checks
    from falx.verbs.doctor import doctor as check

    with silence_native_stderr():
        checks = check()
    show_checks(checks)
