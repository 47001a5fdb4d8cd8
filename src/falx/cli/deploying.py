"""Commands that take a detector elsewhere."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer

from falx.cli.parameters import DetectorArgument, with_options
from falx.cli.terminal import show_next, warn, working
from falx.exporting.choices import Target
from falx.runs.options import BenchOptions, ExportOptions


@with_options(ExportOptions)
def export(
    to: Annotated[
        Target, typer.Option(help="Format; web is a page that classifies images in the browser.")
    ],
    run: DetectorArgument = None,
    **options: Any,
) -> None:
    """Export a detector for another runtime, and check that its outputs agree."""
    with working("falx export", resumes=False) as listener:
        from falx.cli.tables import show_parity
        from falx.verbs.export import export as run_export
        from falx.verbs.export import next_steps

        done = run_export(run, to, **options, listener=listener)
    show_parity(done)
    for remark in done.remarks:
        warn(remark)
    show_next(done.folder, next_steps(done.folder, to))


@with_options(BenchOptions)
def bench(run: DetectorArgument = None, **options: Any) -> None:
    """Export to every format and precision, and benchmark each on this machine."""
    with working("falx bench", resumes=False) as listener:
        from falx.cli.tables import show_benchmark
        from falx.verbs.bench import bench as run_benchmark

        done = run_benchmark(run, **options, listener=listener)
    show_benchmark(done.rows)
    figure = shlex.quote(f"{done.folder}/bench.png")
    show_next(done.folder, (("Look at the figure", figure),))
