"""Commands that look at data, or draw them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from falx.cli.shared import (
    DataArgument,
    PositiveOption,
)


def audit(
    data: DataArgument,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything as JSON; - for a pipe.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write a page with thumbnails.")
    ] = None,
    crossval: Annotated[
        Path | None,
        typer.Option(
            "--crossval",
            help="The run folder of a cross-validation of DATA; shows the labels that its networks "
            "doubt.",
        ),
    ] = None,
    positive: PositiveOption = None,
) -> None:
    """Look for copies, leaks, foreign images and shortcuts in a dataset."""
    from falx import console
    from falx.extras import needs

    with needs("train", "falx audit"), console.progress() as listener:
        from falx.verbs.audit import audit_data

        found = audit_data(data, positive=positive, crossval=crossval, listener=listener)
    if json_file != Path("-"):
        console.show_audit(found)
    if json_file:
        console.write_json(json_file, found.as_dict())
    if html_file:
        from falx.evaluation.audit_page import write_audit_page

        write_audit_page(found, html_file)
        console.say(f"Wrote {html_file}")


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
