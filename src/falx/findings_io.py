"""Findings as CSV and as JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from falx.detect.finding import Findings
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
        "slices": [{**asdict(one), "path": str(one.path)} for one in findings.slices],
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
