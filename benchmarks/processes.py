"""Processes timed from outside; benchmarks alternate them, so that load affects all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One process.

    Attributes:
        seconds: from start to end.
        megabytes: peak resident set.
        output: what it printed.
    """

    seconds: float
    megabytes: float
    output: str


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end; a failure ends the benchmark with what it printed."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begun = time.perf_counter()
        child = subprocess.Popen(
            command, stdout=output, stderr=errors, env={**os.environ, **(environment or {})}
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
        if status:
            errors.seek(0)
            sys.exit(f"'{' '.join(command[:5])} ...' failed:\n{errors.read()[-2000:]}")
        output.seek(0)
        return Measured(seconds, usage.ru_maxrss / 1024, output.read())


def medians(measured: Sequence[Measured]) -> tuple[float, float]:
    """Median seconds and megabytes."""
    return (
        statistics.median(each.seconds for each in measured),
        statistics.median(each.megabytes for each in measured),
    )


def falx(*arguments: str | Path) -> list[str]:
    """A command of falx, run by this Python."""
    return [sys.executable, "-m", "falx.cli", *map(str, arguments)]
