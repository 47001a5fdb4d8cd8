"""Findings as CSV, as a table and as JSON."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from falx.extras import needs
from falx.notice import NOTICE

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from falx.detect.finding import Finding, Findings, SeriesFinding, StudyFinding

_DIGITS = {"distance": 4, "level": 3}
"""After the decimal point, in CSV; probabilities have six."""


def as_csv(findings: Findings) -> str:
    """One row per slice.

    Columns: path, index, status, label, probability, p_CLASS..., distance, study, series, level,
    region, problem.

    An out-of-distribution slice has no label and no probabilities; a distance that is not finite is
    left empty, as is the level of a slice of no volume. What was left out has a row for each file
    and reason, in `problem`; a referred slice may have a reason there too.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = _columns(findings)
    writer.writerow(columns)
    for row in _rows(findings):
        writer.writerow([_text(name, row.get(name)) for name in columns])
    return text.getvalue()


def as_frame(findings: Findings) -> pd.DataFrame:
    """The same as a table; what is empty there is None or NaN.

    Raises:
        MissingExtra: pandas is not installed.
    """
    with needs("train", "Findings.to_pandas"):
        import pandas as pd

    columns, rows = _columns(findings), list(_rows(findings))
    # Text that is empty is none, as pandas reads it.
    values = {
        name: [None if row.get(name) == "" else row.get(name) for row in rows] for name in columns
    }
    return pd.DataFrame(values, columns=columns)


def as_dict(findings: Findings) -> dict[str, Any]:
    """Values ready for JSON; a distance or level that is not finite is None."""
    return {
        "notice": NOTICE,
        "classes": list(findings.classes),
        "slices": [_slice(finding) for finding in findings.slices],
        "studies": [_study(finding) for finding in findings.studies],
        "left_out": [
            {"path": str(file.path), "problem": file.problem, "n": file.n}
            for file in findings.left_out
        ],
        "site_check": findings.site.as_dict() if findings.site else None,
    }


def _columns(findings: Findings) -> list[str]:
    classes = [f"p_{name}" for name in findings.classes]
    answers = ["status", "label", "probability", *classes, "distance"]
    return ["path", "index", *answers, "study", "series", "level", "region", "problem"]


def _rows(findings: Findings) -> list[dict[str, Any]]:
    """Values by column, of slices and of what was left out."""
    of_slices = [
        {
            "path": _readable(each.path),
            "index": each.index,
            "status": each.status,
            "label": each.label,
            "probability": each.probability,
            **{f"p_{name}": value for name, value in each.probabilities.items()},
            "distance": each.distance if math.isfinite(each.distance) else None,
            "study": each.study,
            "series": each.series,
            "level": each.level if math.isfinite(each.level) else None,
            "region": each.region,
            "problem": each.reason,
        }
        for each in findings.slices
    ]
    left_out = [
        {"path": _readable(each.path), "problem": each.problem} for each in findings.left_out
    ]
    return [*of_slices, *left_out]


def _readable(path: Path) -> str:
    """A path as text, also one that is not valid Unicode."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _text(column: str, value: Any) -> Any:
    """A value as CSV holds it: probabilities, distances and levels rounded, None empty."""
    if value is None:
        return ""
    return f"{value:.{_DIGITS.get(column, 6)}f}" if isinstance(value, float) else value


def _study(finding: StudyFinding) -> dict[str, Any]:
    return {
        "study": finding.study,
        "status": finding.status,
        "label": finding.label,
        "probability": finding.probability,
        "chosen": finding.chosen.series if finding.chosen else None,
        "reason": finding.reason,
        "series": [_series(each) for each in finding.series],
    }


def _series(finding: SeriesFinding) -> dict[str, Any]:
    content, strongest = asdict(replace(finding, strongest=None)), finding.strongest
    if strongest:
        content["strongest"] = {"path": str(strongest.path), "index": strongest.index}
    return content


def _slice(finding: Finding) -> dict[str, Any]:
    """A finding, with peak, extent and regions of its heat map in pixels of the slice."""
    content = asdict(replace(finding, heat_map=None, levels=None))
    del content["levels"]
    content["path"] = str(finding.path)
    for name in ("distance", "level"):
        content[name] = content[name] if math.isfinite(content[name]) else None
    heat_map = finding.heat_map
    peak, extent = (heat_map.peak, heat_map.extent) if heat_map else (None, None)
    content["heat_map"] = {
        "peak": {"row": peak[0], "column": peak[1]} if peak else None,
        "extent": asdict(extent) if extent else None,
        "regions": [asdict(region) for region in heat_map.regions] if heat_map else [],
    }
    return content
