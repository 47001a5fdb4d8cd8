"""Findings as CSV and as JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, replace
from typing import Any

from falx.detect.finding import Finding, Findings
from falx.notice import NOTICE


def as_csv(findings: Findings) -> str:
    """A row a slice: path, index, label, probability, p_CLASS..., study, problem.

    A file that could not be read has a row too, with the reason in `problem`.
    """
    classes = [f"p_{name}" for name in findings.classes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "index", "label", "probability", *classes, "study", "problem"])
    for slice_ in findings.slices:
        chances = [f"{slice_.probabilities[name]:.6f}" for name in findings.classes]
        row = [slice_.path, slice_.index, slice_.label, f"{slice_.probability:.6f}", *chances]
        writer.writerow([*row, slice_.study, ""])
    for file in findings.unreadable:
        writer.writerow([file.path, "", "", "", *[""] * len(classes), "", file.problem])
    return text.getvalue()


def as_dict(findings: Findings) -> dict[str, Any]:
    """Everything, ready for JSON."""
    return {
        "notice": NOTICE,
        "classes": list(findings.classes),
        "slices": [_slice(one) for one in findings.slices],
        "studies": [
            {
                **asdict(one),
                "strongest": {"path": str(one.strongest.path), "index": one.strongest.index},
            }
            for one in findings.studies
        ],
        "unreadable": [
            {"path": str(one.path), "problem": one.problem} for one in findings.unreadable
        ],
    }


def _slice(finding: Finding) -> dict[str, Any]:
    """A finding, with where its evidence lies in pixels of the slice, or null where it has none."""
    content = {**asdict(replace(finding, heat_map=None)), "path": str(finding.path)}
    heat_map = finding.heat_map
    peak, extent = (heat_map.peak, heat_map.extent) if heat_map else (None, None)
    content["heat_map"] = {
        "peak": {"row": peak[0], "column": peak[1]} if peak else None,
        "extent": asdict(extent) if extent else None,
    }
    return content
