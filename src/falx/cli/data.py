"""Commands that look at data, or draw them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from falx.cli.parameters import DataArguments, with_options
from falx.cli.terminal import progress, say, say_written
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
        say(f"Wrote {n} slices to {out}, and the masks of their tumors to {out}-masks")
    else:
        n = options["volumes"]
        say(f"Wrote {n} volumes to {out}, with the masks of their tumors beside them")
