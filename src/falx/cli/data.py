"""Commands that look at data, or draw them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from falx.cli.parameters import DataArguments, with_options
from falx.cli.terminal import progress, say, say_written, show_next
from falx.counting import count
from falx.runs.options import AuditOptions, PhantomOptions
from falx.serialization import STANDARD_OUTPUT


@with_options(AuditOptions)
def audit(data: DataArguments, **options: Any) -> None:
    """Audit a dataset: near-duplicates, leakage, label issues, outliers and shortcuts."""
    from falx.extras import needs

    with needs("train", "falx audit"), progress() as listener:
        from falx.cli.tables import show_audit
        from falx.verbs.audit import audit as run_audit

        found = run_audit(data, **options, listener=listener)
    if options["json"] != STANDARD_OUTPUT:
        show_audit(found)
    say_written(options["json"], options["html"])


@with_options(PhantomOptions)
def phantom(
    out: Annotated[Path, typer.Argument(help="The folder to create.")], **options: Any
) -> None:
    """Generate synthetic slices or volumes with and without tumors, and tumor masks."""
    with progress() as listener:
        from falx.verbs.phantom import phantom as run_phantom

        run_phantom(out, **options, listener=listener)
    if options["volumes"] is None:
        n = options["slices"]
        say(f"Wrote {count(n, 'slice')} to {out}, and the masks of their tumors to {out}-masks")
    else:
        n = options["volumes"]
        say(f"Wrote {count(n, 'volume')} to {out}, with the masks of their tumors beside them")


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
    if not publication.has_checksum:
        say("Its size is as published; its content can't be checked, since no checksum is known")
    if not done.downloaded:
        say(f"{done.path} is there already; nothing was downloaded")
        return
    use = f"falx train {path}" if publication.folders else f"falx train DATA --weights {path}"
    show_next(done.path, (("Train", use),))
