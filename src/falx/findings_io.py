"""Findings as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, replace
from typing import Any

from falx.detect.finding import Finding, Findings, StudyFinding
from falx.notice import NOTICE


def as_csv(findings: Findings) -> str:
    """A row a slice: path, index, status, label, probability, p_CLASS..., distance, study, problem.

    What is foreign has neither label nor probabilities, and a distance that is no number is left
    empty. A file that could not be read has a row too, with the reason in `problem`.
    """
    classes = [f"p_{name}" for name in findings.classes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    answers = ["status", "label", "probability", *classes, "distance"]
    writer.writerow(["path", "index", *answers, "study", "problem"])
    for slice_ in findings.slices:
        chances = [slice_.probability, *(slice_.probabilities.get(n) for n in findings.classes)]
        numbers = ["" if chance is None else f"{chance:.6f}" for chance in chances]
        row = [slice_.path, slice_.index, slice_.status, slice_.label or "", *numbers]
        distance = f"{slice_.distance:.4f}" if math.isfinite(slice_.distance) else ""
        writer.writerow([*row, distance, slice_.study, ""])
    for file in findings.unreadable:
        writer.writerow([file.path, "", *[""] * len(answers), "", file.problem])
    return text.getvalue()


def as_dict(findings: Findings) -> dict[str, Any]:
    """Everything, ready for JSON, which has no word for a distance that is no number but null."""
    return {
        "notice": NOTICE,
        "classes": list(findings.classes),
        "slices": [_slice(one) for one in findings.slices],
        "studies": [_study(one) for one in findings.studies],
        "unreadable": [
            {"path": str(one.path), "problem": one.problem} for one in findings.unreadable
        ],
    }


def _study(finding: StudyFinding) -> dict[str, Any]:
    content, strongest = asdict(replace(finding, strongest=None)), finding.strongest
    if strongest:
        content["strongest"] = {"path": str(strongest.path), "index": strongest.index}
    return content


def _slice(finding: Finding) -> dict[str, Any]:
    """A finding, with where its evidence lies in pixels of the slice, or null where it has none."""
    content = {**asdict(replace(finding, heat_map=None)), "path": str(finding.path)}
    content["distance"] = finding.distance if math.isfinite(finding.distance) else None
    heat_map = finding.heat_map
    peak, extent = (heat_map.peak, heat_map.extent) if heat_map else (None, None)
    content["heat_map"] = {
        "peak": {"row": peak[0], "column": peak[1]} if peak else None,
        "extent": asdict(extent) if extent else None,
    }
    return content
