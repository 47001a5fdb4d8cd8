"""Commands that look at data, or draw them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from falx.cli.parameters import DataArguments, with_options
from falx.cli.terminal import progress, say, show_next, write_text
from falx.errors import BadInput
from falx.runs.options import AuditOptions
from falx.seeds import MAX_SEED
from falx.serialization import dump


@with_options(AuditOptions)
def audit(
    data: DataArguments,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write all results as JSON; - for standard output."),
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write a page with thumbnails.")
    ] = None,
    **options: Any,
) -> None:
    """Audit a dataset: near-duplicates, leakage, label issues, outliers and shortcuts."""
    from falx.extras import needs

    with needs("train", "falx audit"), progress() as listener:
        from falx.cli.tables import show_audit
        from falx.verbs.audit import audit as run_audit

        found = run_audit(data, **options, listener=listener)
    if json_file != Path("-"):
        show_audit(found)
    if json_file:
        write_text(json_file, dump(found.as_dict()))
    if html_file:
        from falx.reporting.pages.audit import write_audit_page

        write_audit_page(found, html_file)
        say(f"Wrote {html_file}")


def phantom(
    out: Annotated[Path, typer.Argument(help="The folder to create.")],
    n: Annotated[
        int,
        typer.Option(
            "--slices", "-n", min=2, help="Slices to generate, half of them with a tumor."
        ),
    ] = 200,
    volumes: Annotated[
        int | None,
        typer.Option(min=2, help="Volumes to generate instead, half of them with a tumor."),
    ] = None,
    anatomy: Annotated[
        Path | None,
        typer.Option(help="A folder with label maps of whole heads (NIfTI), to draw slices of."),
    ] = None,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Width and height in pixels.")] = 224,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Random seed.")] = 0,
) -> None:
    """Generate synthetic slices or volumes with and without tumors, and tumor masks."""
    with progress() as listener:
        from falx.phantom import find_anatomies, write_phantoms, write_volumes

        anatomies = find_anatomies(anatomy) if anatomy else None
        if volumes is None:
            write_phantoms(out, n, seed=seed, size=size, anatomies=anatomies, listener=listener)
        elif anatomies is None:
            raise BadInput("Volumes are drawn of whole heads; name label maps with --anatomy.")
        else:
            write_volumes(out, volumes, anatomies, seed=seed, size=size, listener=listener)
    if volumes is None:
        say(f"Wrote {n} slices to {out}, and the masks of their tumors to {out}-masks")
    else:
        say(f"Wrote {volumes} volumes to {out}, with the masks of their tumors beside them")


def fetch(
    name: Annotated[
        str | None, typer.Argument(help="What to fetch; without it, what can be fetched is shown.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder of a dataset, by default its name; or weights file, by default in the "
            "cache of Keras.",
        ),
    ] = None,
) -> None:
    """Download a public dataset or weights, whole or not at all."""
    if name is None:
        from falx.cli.tables import show_publications
        from falx.data.publications import PUBLICATIONS

        show_publications(PUBLICATIONS)
        return
    with progress() as listener:
        from falx.verbs.fetch import fetch as run_fetch

        done = run_fetch(name, out=out, listener=listener)
    publication, path = done.publication, shlex.quote(str(done.path))
    say(f"{publication.what}; license: {publication.license}; {publication.page}")
    if not done.downloaded:
        say(f"{done.path} is there already; nothing was downloaded")
        return
    use = f"falx train {path}" if publication.folders else f"falx train DATA --weights {path}"
    show_next(done.path, (("Train", use),))
