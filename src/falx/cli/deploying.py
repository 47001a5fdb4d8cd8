"""Commands that take a detector elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from falx import defaults
from falx.cli.shared import BankOption, OutOption, RunArgument, training

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Where the run's slices lie, if they have moved."),
]


def export(
    run: RunArgument,
    to: Annotated[
        Literal["openvino", "onnx", "litert", "web"],
        typer.Option(help="The format; web is a page that classifies images in the browser."),
    ],
    precision: Annotated[
        Literal["fp32", "fp16", "int8", "int8-weights"],
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
    from falx.extras import needs

    with needs("export", "falx export"), training("falx export") as listener:
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
