"""The benchmark of exports: parity, size, and timings, each measured in its own process."""

from __future__ import annotations

import json
import logging
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from falx.deployment.attempts import attempts_at, write_export
from falx.deployment.parity import Parity
from falx.deployment.source import ExportSource
from falx.evaluation.metrics import score
from falx.exporting.choices import ExportPrecision, Target
from falx.exporting.formats import FORMATS
from falx.exporting.measure import READY
from falx.parallel import cores
from falx.progress import Listener, Progress, silent
from falx.statistics import Estimate

logger = logging.getLogger(__name__)

Outcome = Literal["passed", "parity failed", "failed"]

_PRECISIONS: tuple[ExportPrecision, ...] = ("fp32", "fp16", "int8")
_BATCH = 32


@dataclass(frozen=True)
class Timing:
    """Timing of an export with some number of threads; medians over processes.

    Attributes:
        startup_s: seconds from the start of the process to the first prediction.
        median_ms: median latency of one slice in milliseconds.
        p95_ms: its 95th percentile.
        per_second: throughput in slices per second, in batches of 32.
        memory_mb: peak resident memory in megabytes, or None where the system doesn't report it.
    """

    startup_s: float
    median_ms: float
    p95_ms: float
    per_second: float
    memory_mb: float | None


@dataclass(frozen=True, eq=False)
class Row:
    """An export with its parity and its cost.

    Attributes:
        format: its usual name.
        precision: such as "int8", or "int8, tuned".
        outcome: whether it passed the parity check, failed it, or failed altogether.
        why: the reason of an outcome other than passed, and other remarks.
        bytes: size of the network, or 0 where there is none.
        auc: on the slices that exports are checked on.
        parity: None for the network itself, and where there is no export.
        timings: by number of threads.
    """

    format: str
    precision: str
    outcome: Outcome
    why: str
    bytes: int
    auc: Estimate | None
    parity: Parity | None
    timings: dict[int, Timing] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.format} {self.precision}"


def benchmark(
    source: ExportSource,
    network: Path,
    folder: Path,
    *,
    rounds: int,
    seconds: float,
    listener: Listener = silent,
) -> tuple[Row, ...]:
    """Export to every format in every precision, and measure each; Keras first, as the baseline.

    Each is measured in its own process, one at a time, and all of them in turn, round after round,
    so that noise on the machine affects them alike.

    Args:
        network: file of the Keras network.
        folder: where exports are kept.
        rounds: processes per export and number of threads.
        seconds: of each measurement.
    """
    rows = [_keras_row(source, network.stat().st_size)]
    subjects = [_Subject("keras", network)]
    for to in FORMATS:
        for precision in _PRECISIONS:
            place = folder / f"{to}-{precision}"
            rows.append(_exported(source, place, to, precision, listener))
            subjects.append(_Subject(to, place / FORMATS[to].file))
    measured = _measured(subjects, source.views[:_BATCH], rounds, seconds, listener)
    return tuple(map(_with_timings, rows, measured))


@dataclass(frozen=True)
class _Subject:
    """What to measure: a format that falx.exporting.measure knows, and a file."""

    format: str
    file: Path


def _keras_row(source: ExportSource, size: int) -> Row:
    usable = source.usable
    scores = score(
        usable.labels[source.rows],
        source.expected.probabilities[: len(source.rows)],
        usable.groups[source.rows],
        usable.classes,
    )
    return Row("Keras", "fp32", "passed", "", size, scores.estimates["roc_auc"], None)


def _exported(
    source: ExportSource, folder: Path, to: Target, precision: ExportPrecision, listener: Listener
) -> Row:
    folder.mkdir(parents=True)
    title = FORMATS[to].title
    try:
        done = write_export(source, folder, to, attempts_at(precision), listener=listener)
    except OSError:
        raise
    except Exception as error:  # That a converter fails is a result of the benchmark.
        logger.exception("The export to %s in %s failed.", to, precision)
        shutil.rmtree(folder)
        why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return Row(title, precision, "failed", why, 0, None, None)
    outcome: Outcome = "parity failed" if done.parity.problem else "passed"
    why = done.parity.problem or " ".join(done.remarks)
    parity = done.parity
    auc = parity.actual.estimates["roc_auc"]
    return Row(title, str(done.attempt), outcome, why, done.bytes, auc, parity)


def _measured(
    subjects: Sequence[_Subject],
    views: np.ndarray,
    rounds: int,
    seconds: float,
    listener: Listener,
) -> list[dict[int, Timing] | str]:
    """Timings of each subject by number of threads, or why it could not be measured."""
    counts = sorted({1, cores()})
    found: list[dict[int, list[Timing]]] = [{count: [] for count in counts} for _ in subjects]
    problems: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        views_file = Path(temporary) / "views.npy"
        np.save(views_file, views)
        turns = [
            (number, count)
            for _ in range(rounds)
            for count in counts
            for number, subject in enumerate(subjects)
            if subject.file.is_file()
        ]
        for done, (number, count) in enumerate(turns, start=1):
            result = _measure_once(subjects[number], views_file, count, seconds)
            if isinstance(result, Timing):
                found[number][count].append(result)
            else:
                problems[number] = result
            listener(Progress("Measuring", done, len(turns)))
    return [
        problems.get(number) or {count: _median(each) for count, each in timings.items() if each}
        for number, timings in enumerate(found)
    ]


def _measure_once(
    subject: _Subject, views_file: Path, threads: int, seconds: float
) -> Timing | str:
    """The timing of one process, or the last line of its errors where it failed."""
    command = [sys.executable, "-m", "falx.exporting.measure", subject.format, subject.file,
               views_file, threads, seconds]  # fmt: skip
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        # No shell, and all arguments are ours.
        child = subprocess.Popen(  # noqa: S603
            list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert child.stdout is not None
        ready = child.stdout.readline().strip() == READY
        startup = time.perf_counter() - begun
        output, _ = child.communicate()
        errors.seek(0)
        lines = errors.read().strip().splitlines()
    if child.returncode or not ready:
        return f"it could not be measured: {lines[-1] if lines else f'exit {child.returncode}'}"
    return Timing(startup_s=startup, **json.loads(output))


def _median(timings: Sequence[Timing]) -> Timing:
    values = {
        name: statistics.median(getattr(timing, name) for timing in timings)
        for name in ("startup_s", "median_ms", "p95_ms", "per_second")
    }
    memory = [timing.memory_mb for timing in timings if timing.memory_mb is not None]
    return Timing(**values, memory_mb=statistics.median(memory) if memory else None)


def _with_timings(row: Row, measured: dict[int, Timing] | str) -> Row:
    if isinstance(measured, str):
        return replace(row, outcome="failed", why=measured)
    return replace(row, timings=measured)
