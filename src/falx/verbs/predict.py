"""`predict`: a detector's answers for files or images, and the files that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from falx.counting import count
from falx.declaration import takes
from falx.detect.detector import Detector, load
from falx.detect.finding import Findings
from falx.detect.images import Images
from falx.detect.overlay import make_folder, write_overlays
from falx.errors import BadInput, UnusableData
from falx.progress import Listener, silent
from falx.runs.options import PredictOptions
from falx.serialization import check_writable


@takes(PredictOptions)
def predict(
    run: str | Path | Detector | None,
    images: Images,
    *,
    listener: Listener = silent,
    **options: Unpack[PredictOptions],
) -> Findings:
    """Classify slices, and the series and studies that they form.

    Args:
        run: a run folder, or its `detector/`, or a detector; None for the one that ships with falx.
        images: see falx.Detector.predict.
        listener: receives progress.
        options: see falx.runs.options.PredictOptions.

    Raises:
        BadInput: a path does not exist, there is no file, an image is none, or what was asked for
            can't be written.
        BrokenRun: the folder holds no complete detector.
        UnusableData: something was left out, with `strict`.
    """
    if options["csv"] and options["json"] and Path(options["csv"]) == Path(options["json"]):
        raise BadInput(f"CSV and JSON can't both go to '{options['csv']}'; name two files.")
    detector = run if isinstance(run, Detector) else load(run)
    check_writable(options["csv"], options["json"])
    folder = Path(options["heat_maps"]) if options["heat_maps"] else None
    if folder:
        make_folder(folder)
    shown = folder or options["json"]
    findings = detector.predict(images, maps="flip_tta" if shown else "plain", listener=listener)
    if folder:
        write_overlays(findings.slices, folder, listener=listener)
    if options["csv"]:
        findings.to_csv(options["csv"])
    if options["json"]:
        findings.to_json(options["json"])
    if options["strict"] and findings.left_out:
        n, first = len(findings.left_out), findings.left_out[0]
        what = count(n, "file or part of one was", "files or parts of them were")
        raise UnusableData(f"{what} left out; the first: {first.problem}")
    return findings
