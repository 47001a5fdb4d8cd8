"""`export`: a detector for another runtime, which must pass a parity check to be kept."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from falx.declaration import takes
from falx.deployment.attempts import Export, attempts_at, write_export
from falx.deployment.source import open_source
from falx.errors import BadInput, ParityError
from falx.exporting.choices import PRECISIONS, TARGETS, Target
from falx.extras import check_installed
from falx.progress import Listener, silent
from falx.runs.folder import check_free, new_folder, stamped
from falx.runs.options import ExportOptions


@takes(ExportOptions)
def export(
    run: str | Path | None,
    to: Target,
    *,
    listener: Listener = silent,
    **options: Unpack[ExportOptions],
) -> Export:
    """Write a trained network for another runtime, and prove that it gives the same outputs.

    Where int8 changes a slice's probability or the AUC too much, weights alone are stored in 8
    bits, and the record says how int8 failed.

    Args:
        run: the folder of a training, or of another detector, for which `data` is needed; None for
            the detector that ships with falx.
        to: the format; "web" is a page that classifies images in the browser.
        listener: receives progress.
        options: see falx.runs.options.ExportOptions.

    Raises:
        ParityError: the export does not give the outputs of the network.
        FalxError: run, data or options can't be used.
    """
    precision, force = options["precision"], options["force"]
    _check_choice("format", to, TARGETS)
    _check_choice("precision", precision, PRECISIONS)
    check_installed("export", "falx export")
    if to == "web":
        # Before minutes are spent: only a page needs npm.
        from falx.exporting.web import fetch_packages

        fetch_packages()
    target = Path(options["out"] or stamped(f"{to}-{precision}"))
    check_free(target, "the export")
    source = open_source(run, data=options["data"], cache_gb=options["cache_gb"], listener=listener)
    with new_folder(target, "the export") as filling:
        attempts = attempts_at(precision)
        if force:
            attempts = tuple(each for each in attempts if each.precision == precision)
        done = write_export(source, filling, to, attempts, listener=listener)
        if done.parity.problem and not force:
            raise ParityError(
                f"The network for {to} in {done.attempt} fails the parity check: "
                f"{done.parity.problem}; try another precision, or keep it with --force."
            )
    return replace(done, folder=target)


def next_steps(folder: Path, to: Target) -> tuple[tuple[str, str], ...]:
    """What one does with an export, and the commands for it."""
    quoted = shlex.quote(str(folder))
    if to == "web":
        return (("Open in a browser", f"{quoted}/index.html"),)
    steps = [("Classify images without falx", f"python {quoted}/classify.py IMAGE...")]
    if to == "openvino":
        steps.append(("Classify images with falx", f"falx predict {quoted} IMAGE..."))
    return (*steps, ("Read how to use it", f"{quoted}/README.md"))


def _check_choice(what: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise BadInput(f"There is no {what} '{value}'; choose from {', '.join(choices)}.")
