"""Findings as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, replace
from typing import Any

from falx.detect.finding import Finding, Findings, SeriesFinding, StudyFinding
from falx.notice import NOTICE


def as_csv(findings: Findings) -> str:
    """One row per slice.

    Columns: path, index, status, label, probability, p_CLASS..., distance, study, series, level,
    region, problem.

    An out-of-distribution slice has no label and no probabilities; a distance that is not finite is
    left empty, as is the level of a slice of no volume. What was left out has a row for each file
    and reason, in `problem`; a referred slice may have a reason there too.
    """
    classes = [f"p_{name}" for name in findings.classes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    answers = ["status", "label", "probability", *classes, "distance"]
    place = ["study", "series", "level", "region"]
    writer.writerow(["path", "index", *answers, *place, "problem"])
    for slice_ in findings.slices:
        of_classes = [slice_.probabilities.get(name) for name in findings.classes]
        probabilities = ["" if p is None else f"{p:.6f}" for p in (slice_.probability, *of_classes)]
        row = [slice_.path, slice_.index, slice_.status, slice_.label or "", *probabilities]
        distance = f"{slice_.distance:.4f}" if math.isfinite(slice_.distance) else ""
        level = f"{slice_.level:.3f}" if math.isfinite(slice_.level) else ""
        where = [slice_.study, slice_.series, level, slice_.region]
        writer.writerow([*row, distance, *where, slice_.reason])
    for file in findings.left_out:
        writer.writerow([file.path, "", *[""] * len(answers), *[""] * len(place), file.problem])
    return text.getvalue()


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
    content = {**asdict(replace(finding, heat_map=None)), "path": str(finding.path)}
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
