"""Commands that take a detector elsewhere."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from falx import defaults
from falx.cli.shared import BankOption, OutOption, RunArgument, training
from falx.exporting.choices import ExportPrecision, Target

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Where the run's slices lie, if they have moved."),
]


def export(
    run: RunArgument,
    to: Annotated[
        Target,
        typer.Option(help="The format; web is a page that classifies images in the browser."),
    ],
    precision: Annotated[
        ExportPrecision,
        typer.Option(help="Of weights and activations."),
    ] = "fp32",
    out: OutOption = None,
    data: DataOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Keep an export that answers otherwise, marked so.")
    ] = False,
    bank_gb: BankOption = defaults.BANK_GB,
) -> None:
    """Write a detector for another runtime, and prove that it answers alike."""
    from falx import console

    with training("falx export", resumes=False) as listener:
        from falx.verbs.export import export as run_export
        from falx.verbs.export import next_steps

        done = run_export(
            run,
            to,
            precision=precision,
            out=out,
            data=data,
            force=force,
            bank_gb=bank_gb,
            listener=listener,
        )
    console.show_parity(done)
    for remark in done.remarks:
        console.warn(remark)
    console.show_next(done.folder, next_steps(done.folder, to))


def bench(
    run: RunArgument,
    out: OutOption = None,
    data: DataOption = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Processes an export and number of threads.")
    ] = defaults.BENCH_ROUNDS,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="That each process measures one slice, and many.")
    ] = defaults.BENCH_SECONDS,
    bank_gb: BankOption = defaults.BANK_GB,
) -> None:
    """Export to every format and precision, and measure each on this machine."""
    from falx import console

    with training("falx bench", resumes=False) as listener:
        from falx.verbs.bench import bench as run_bench

        done = run_bench(
            run, out=out, data=data, rounds=rounds, seconds=seconds, bank_gb=bank_gb,
            listener=listener,
        )  # fmt: skip
    console.show_bench(done.rows)
    console.show_next(
        done.folder, (("Look at the figure", shlex.quote(f"{done.folder}/bench.png")),)
    )
