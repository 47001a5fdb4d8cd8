"""`bench`: every export of a detector, held to its network and measured on this machine."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from falx import defaults
from falx.detect.detector import KERAS_FILE, detector_folder
from falx.environment import environment
from falx.errors import BadInput
from falx.evaluation import deployment, figures
from falx.evaluation.deployment import Mark, Row, Timing
from falx.evaluation.metrics import score
from falx.exporting.choices import ExportPrecision, Target
from falx.exporting.formats import FORMATS
from falx.exporting.measure import READY
from falx.extras import check_installed
from falx.parallel import cores
from falx.progress import Listener, Progress, silent
from falx.runfolder import check_free, new_folder, stamped
from falx.verbs.export import Source, attempts_at, open_source, write_export

logger = logging.getLogger(__name__)

_PRECISIONS: tuple[ExportPrecision, ...] = ("fp32", "fp16", "int8")
_BATCH = 32


@dataclass(frozen=True)
class Benched:
    """What `bench` hands back: the folder, with bench.md, .csv, .json, .png and exports/."""

    folder: Path
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class _Subject:
    """What is to be measured: a format that falx.exporting.measure knows, and a file."""

    format: str
    file: Path


def bench(
    run: str | Path,
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    rounds: int = defaults.BENCH_ROUNDS,
    seconds: float = defaults.BENCH_SECONDS,
    bank_gb: float = defaults.BANK_GB,
    listener: Listener = silent,
) -> Benched:
    """Export to every format in every precision, and measure each.

    Each export is measured in processes of its own, one after the other, and all of them in turn,
    round after round, so that a noisy machine treats them alike. `keras.Model.predict` on
    TensorFlow is measured with them, as the peer.

    Args:
        run: the folder of a training.
        out: the folder to be made; by default `runs/<time>-bench`.
        data: where the slices of the run lie, if no longer where it found them.
        rounds: processes an export and number of threads.
        seconds: that latency and throughput are measured for, each, in a process.
        bank_gb: the most that views may take on disk, in gigabytes.

    Raises:
        FalxError: run or data can't be used.
    """
    if rounds < 1 or not seconds > 0:
        raise BadInput(f"A benchmark needs rounds and seconds, got {rounds} and {seconds}.")
    check_installed("export", "falx bench")
    folder = Path(out) if out else stamped("bench")
    check_free(folder, "the benchmark")
    source = open_source(run, data=data, bank_gb=bank_gb, listener=listener)
    keras_file = detector_folder(Path(run)) / KERAS_FILE
    with new_folder(folder, "the benchmark") as filling:
        size = keras_file.stat().st_size
        rows = [_keras_row(source, size)]
        subjects = [_Subject("keras", keras_file)]
        for to in FORMATS:
            for precision in _PRECISIONS:
                place = filling / "exports" / f"{to}-{precision}"
                rows.append(_exported(source, place, to, precision, listener))
                subjects.append(_Subject(to, place / FORMATS[to].file))
        measured = _measured(subjects, source.views[:_BATCH], rounds, seconds, listener)
        complete = tuple(map(_with_timings, rows, measured))
        words = ["falx", "bench", str(run), "--rounds", str(rounds), "--seconds", f"{seconds:g}"]
        about = {
            "command": shlex.join(words),
            "slices": len(source.rows),
            **environment(),
        }
        _write(filling, complete, about)
    return Benched(folder, complete)


def _keras_row(source: Source, size: int) -> Row:
    usable = source.run.catalog.usable()
    scores = score(
        usable.labels[source.rows],
        source.expected.probabilities[: len(source.rows)],
        usable.groups[source.rows],
        usable.classes,
    )
    return Row("Keras", "fp32", "passed", "", size, scores.estimates["roc_auc"], None)


def _exported(
    source: Source, folder: Path, to: Target, precision: ExportPrecision, listener: Listener
) -> Row:
    folder.mkdir(parents=True)
    title = FORMATS[to].title
    try:
        done = write_export(source, folder, to, attempts_at(precision), listener=listener)
    except OSError:
        raise
    except Exception as error:  # Whatever a converter stumbles on is a finding here.
        logger.exception("The export to %s in %s failed.", to, precision)
        shutil.rmtree(folder)
        why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return Row(title, precision, "failed", why, 0, None, None)
    mark: Mark = "not equal" if done.parity.problem else "passed"
    why = done.parity.problem or " ".join(done.remarks)
    parity = done.parity
    auc = parity.actual.estimates["roc_auc"]
    return Row(title, str(done.attempt), mark, why, done.bytes, auc, parity)


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
    """One process's timing, or the last line that it said before it failed."""
    command = [sys.executable, "-m", "falx.exporting.measure", subject.format, subject.file,
               views_file, threads, seconds]  # fmt: skip
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        # No shell, and words of our own.
        child = subprocess.Popen(  # noqa: S603
            list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert child.stdout is not None
        ready = child.stdout.readline().strip() == READY
        startup = time.perf_counter() - begun
        output, _ = child.communicate()
        errors.seek(0)
        said = errors.read().strip().splitlines()
    if child.returncode or not ready:
        return f"it could not be measured: {said[-1] if said else f'exit {child.returncode}'}"
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
        return replace(row, mark="failed", why=measured)
    return replace(row, timings=measured)


def _write(folder: Path, rows: Sequence[Row], about: dict[str, Any]) -> None:
    table = deployment.as_table(rows)
    table.to_csv(folder / "bench.csv", index=False)
    content = {**about, "rows": json.loads(table.to_json(orient="records"))}
    (folder / "bench.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    machine = f"{about['cpu']}, {about['cores']} cores"
    text = (
        f"`{about['command']}` on {machine}; AUC on {about['slices']} slices of validation and "
        f"test.\n\n{deployment.as_markdown(rows)}"
    )
    (folder / "bench.md").write_text(text, "utf-8")
    if any(row.timings for row in rows):
        figures.save(deployment.draw(rows), folder / "bench.png")
