"""What to do next with a run, and the commands for it."""

from __future__ import annotations

import shlex

from falx.runs.run import Run

Step = tuple[str, str]
"""What to do, and the command or file."""


def next_steps(run: Run) -> tuple[Step, ...]:
    """The steps after a run; the first is to read its report."""
    folder = shlex.quote(str(run.folder))
    read = ("Read the report", f"{folder}/report.html")
    card = ("Write a model card", f"falx card {folder}")
    if run.kind == "training":
        return (
            read,
            ("Classify images", f"falx predict {folder} IMAGE..."),
            ("Test on other data", f"falx evaluate {folder} DATA"),
            card,
        )
    if run.kind == "cross-validation":
        return (read, card, ("Train a detector", run.record.command_of("train")))
    detector = shlex.quote(run.record.arguments[0])
    return (read, ("Classify images", f"falx predict {detector} IMAGE..."))
