"""`audit`: what is wrong with a dataset, by its files and by a cross-validation of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from falx.data import auditing
from falx.data.auditing import Audit
from falx.data.catalog import Catalog
from falx.data.joining import as_paths, build_joined_catalog
from falx.data.label_check import LabelCheck, carry_over
from falx.data.mask_rule import MaskRule
from falx.declaration import takes
from falx.errors import BadInput
from falx.progress import Listener, silent
from falx.reporting.pages.audit import write_audit_page
from falx.runs.options import AuditOptions
from falx.runs.reading import open_run
from falx.serialization import check_writable, dump, write_whole


@takes(AuditOptions)
def audit(
    data: str | Path | Sequence[str | Path],
    *,
    listener: Listener = silent,
    **options: Unpack[AuditOptions],
) -> Audit:
    """Look for everything that would distort performance numbers on a dataset.

    Args:
        data: a folder with a subfolder for each class, a folder of images with masks, or a CSV or
            Parquet file; or several of these, as they would be trained on together.
        listener: receives progress.
        options: see falx.runs.options.AuditOptions.

    Raises:
        BadInput: the data can't be found or understood, `crossval` is of other data or no
            cross-validation, or a file can't be written.
        BrokenRun: `crossval` is no run, or damaged.
        UnusableData: there is nothing in the data that can be read.
    """
    check_writable(options["json"], options["html"])
    crossval = options["crossval"]
    known = _label_check(Path(crossval)) if crossval else None
    masks = MaskRule(options["tumor_area"], options["tumor_margin"])
    catalog = build_joined_catalog(
        as_paths(data), positive=options["positive"], masks=masks, listener=listener
    )
    check = _carried_over(*known, catalog.usable(), crossval) if known and crossval else None
    found = auditing.audit(catalog, label_check=check)
    if options["json"]:
        write_whole(Path(options["json"]), dump(found.as_dict()))
    if options["html"]:
        write_audit_page(found, Path(options["html"]))
    return found


def _label_check(run: Path) -> tuple[LabelCheck, Catalog]:
    """The label check of a cross-validation, and the slices that it is about."""
    found = open_run(run)
    if found.kind != "cross-validation":
        raise BadInput(
            f"'{run}' is no cross-validation; labels are checked by out-of-fold predictions, so "
            "name the run folder of a falx crossval of these data."
        )
    return found.evaluation.label_check, found.catalog.usable()


def _carried_over(
    check: LabelCheck, known: Catalog, usable: Catalog, run: str | Path
) -> LabelCheck:
    carried = carry_over(check, known, usable)
    if not carried.checked:
        raise BadInput(
            f"'{run}' is a cross-validation of other data: no slice of '{usable.root}' was in it "
            "with the same label; name one of these data."
        )
    return carried
