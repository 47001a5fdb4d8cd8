"""`audit`: what is wrong with a dataset, by its files and by a cross-validation of it."""

from __future__ import annotations

from pathlib import Path

from falx.data.audit import Audit, audit
from falx.data.catalog import Catalog, build_catalog
from falx.data.label_check import LabelCheck, carry_over
from falx.errors import BadInput
from falx.evaluation.folds import OutOfFold
from falx.progress import Listener, silent
from falx.verbs.saved_run import load_run


def audit_data(
    data: Path,
    *,
    positive: str | None = None,
    crossval: Path | None = None,
    listener: Listener = silent,
) -> Audit:
    """Look for everything that would make numbers on a dataset lie.

    Args:
        positive: which of two classes is the positive one, where the names don't say.
        crossval: the run folder of a cross-validation of these data, to check labels by.

    Raises:
        BadInput: the data can't be found or understood, or `crossval` is of other data or a
            training.
        BrokenRun: `crossval` is no run, or damaged.
        UnusableData: there is nothing in the data that can be read.
    """
    tested = _out_of_fold(crossval) if crossval else None
    catalog = build_catalog(data, positive=positive, listener=listener)
    check = _check(tested, catalog.usable(), crossval) if tested and crossval else None
    return audit(catalog, label_check=check)


def _out_of_fold(run: Path) -> OutOfFold:
    tested = load_run(run).tested
    if not isinstance(tested, OutOfFold):
        raise BadInput(
            f"'{run}' is a training, which tested few of its slices; name the run folder of a "
            "falx crossval of these data."
        )
    return tested


def _check(tested: OutOfFold, usable: Catalog, run: Path) -> LabelCheck:
    check = carry_over(tested.label_check(), tested.usable, usable)
    if not check.checked:
        raise BadInput(
            f"'{run}' is a cross-validation of other data: no slice of '{usable.root}' was in it "
            "with the same label; name one of these data."
        )
    return check
