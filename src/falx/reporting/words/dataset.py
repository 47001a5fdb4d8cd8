"""What of a dataset was used, by which labels, and what was left out and why."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from falx.data.mask_rule import MaskRule
from falx.reporting.formatting import count, first_few
from falx.runs.run import Run


def dataset_words(run: Run) -> list[str]:
    """Sentences on volumes, labels from masks or of volumes, and slices that were left out."""
    table = run.catalog.table
    usable = table[table["problem"] == ""]
    return [*_volumes(usable), *_masks(usable, run), *_weak(usable), *_left_out(table)]


def _volumes(usable: pd.DataFrame) -> Iterator[str]:
    volumes = usable["volume"][usable["volume"] != ""].nunique()
    if not volumes:
        return
    patients = usable["patient"][usable["patient"] != ""].nunique()
    of = f" of {count(patients, 'patient')}" if patients else ""
    planes = usable["plane"][usable["plane"] != ""].value_counts()
    named = ", ".join(f"{count(int(n))} {plane}" for plane, n in planes.items())
    yield f"{count(len(usable), 'slice')} of {count(volumes, 'volume')}{of} ({named})."


def _masks(usable: pd.DataFrame, run: Run) -> Iterator[str]:
    by_mask = usable[usable["tumor_area"].notna()]
    if not len(by_mask):
        return
    options = run.record.options
    area = float(options.get("tumor_area", MaskRule.tumor_area))
    margin = float(options.get("tumor_margin", MaskRule.tumor_margin))
    with_tumor = int((by_mask["tumor_area"] > 0).sum())
    apart = f" within {margin:g} mm" if margin else ""
    yield (
        f"Masks label {count(len(by_mask), 'slice')}: {count(with_tumor)} show at least {area:g} "
        f"mm² of tumor, {count(len(by_mask) - with_tumor)} none{apart}."
    )


def _weak(usable: pd.DataFrame) -> Iterator[str]:
    weak = usable[usable["weak_label"]]
    if len(weak):
        yield (
            f"{count(len(weak), 'slice')} have the label of their whole volume, so numbers by "
            "slice count every slice of a volume with a tumor as one: only those by study mean "
            "what they say. Training chose the slices of such volumes that seem to show a tumor."
        )


def _left_out(table: pd.DataFrame) -> Iterator[str]:
    problems = table["problem"][table["problem"] != ""]
    if len(problems):
        yield f"Left out: {count(len(problems))} of {count(len(table))}: {reasons(problems)}."


def reasons(problems: pd.Series) -> str:
    """Why slices are left out, the commonest reasons first: "2 (blank: ...), 1 (tiny: ...)"."""
    without_names = problems.str.replace(r"'[^']*'", "the file", regex=True).str.rstrip(".")
    counts = without_names.value_counts(sort=True)
    return first_few([f"{count(int(n))} ({reason})" for reason, n in counts.items()], 4)
