"""Commands that put a detector to use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from falx import defaults
from falx.cli.shared import (
    BankOption,
    DataArgument,
    OutOption,
    RunArgument,
    fail,
    training,
)
from falx.logs import native_silence


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
        shown = heat_maps or json_file
        findings = detector.predict(paths, maps="mirrored" if shown else "plain", listener=listener)
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
        fail(f"None of {len(findings.unreadable)} files could be read; name images.")


def evaluate(
    run: RunArgument,
    data: DataArgument,
    out: OutOption = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder of tumor masks, as falx phantom writes, to hold heat maps to."),
    ] = None,
    map_slices: Annotated[
        int,
        typer.Option(
            min=0, help="On how many slices to check heat maps at most; without masks too. 0: none."
        ),
    ] = defaults.MAP_SLICES,
    binary: Annotated[
        bool,
        typer.Option(
            "--binary", help="Ask only whether there is a tumor: fold classes into none and any."
        ),
    ] = False,
    bank_gb: BankOption = defaults.BANK_GB,
) -> None:
    """Test a detector on labeled slices."""
    from falx import console

    with training("falx evaluate") as listener:
        from falx.verbs.evaluate import evaluate as run_evaluation

        done = run_evaluation(
            run,
            data,
            out=out,
            masks=masks,
            map_slices=map_slices,
            binary=binary,
            bank_gb=bank_gb,
            listener=listener,
        )
    if done.twins:
        seen = f"{done.twins} of {done.scores.n} slices have a twin among those that the run saw"
        console.warn(f"{seen}.")
    console.show_scores({"all": done.scores, "without twins": done.without_twins})
    console.show_trust(done.trust)
    console.show_hiding(done.border, done.hidden)
    if done.maps:
        console.show_map_scores(done.maps)
    if done.checks:
        console.show_map_checks(done.checks)
    console.show_next(done.folder, (("Read the report", f"{done.folder}/report.html"),))


def card(
    run: Annotated[Path, typer.Argument(help="The folder of a training or cross-validation.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write into; by default the run folder.")
    ] = None,
) -> None:
    """Write a model card: what a detector is, is for, and is worth, and what is not known."""
    from falx import console
    from falx.extras import needs

    with needs("train", "falx card"):
        from falx.verbs.card import card as write_card

        done = write_card(run, out=out)
    console.say(f"Wrote {done.markdown} and {done.html}")


def doctor() -> None:
    """Show versions, processor, caches, weights and extras."""
    from falx import console
    from falx.verbs.doctor import doctor as look

    with native_silence():
        checks = look()
    console.show_checks(checks)
