"""Ways to write a network in a precision, tried in turn until one passes the parity check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx.deployment.parity import Parity
from falx.deployment.source import ExportSource
from falx.environment import environment, version
from falx.exporting.choices import ExportPrecision, Target
from falx.exporting.formats import format_of, size_of
from falx.exporting.package import write_package
from falx.logs import silence_native_stderr
from falx.parallel import cores
from falx.progress import Listener, Progress, silent
from falx.serialization import write_json


@dataclass(frozen=True)
class Attempt:
    """A way to write a network.

    Attributes:
        precision: of weights and activations.
        tuned: whether scales and offsets are tuned to 8 bits first (falx.exporting.tune).
    """

    precision: ExportPrecision
    tuned: bool = False

    def __str__(self) -> str:
        """Such as "int8, tuned"."""
        return f"{self.precision}, tuned" if self.tuned else self.precision


@dataclass(frozen=True)
class Export:
    """An export and its parity check.

    Attributes:
        folder: with the network, labels.json, README.md, classify.py, parity.json and parity.csv,
            or with a page.
        attempt: how it was written: in the requested precision, or in "int8-weights" where int8
            fails.
        bytes: size of the network.
        parity: of the network.
        failed: earlier attempts, which did not pass.
    """

    folder: Path
    attempt: Attempt
    bytes: int
    parity: Parity
    failed: tuple[tuple[Attempt, Parity], ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know about the attempts, in sentences."""
        remarks = [f"{attempt} was rejected, since {each.problem}" for attempt, each in self.failed]
        if self.parity.problem:
            remarks.append(f"kept although {self.parity.problem}")
        return tuple(f"{sentence[0].upper()}{sentence[1:]}." for sentence in remarks)


def attempts_at(precision: ExportPrecision) -> tuple[Attempt, ...]:
    """Ways to write a network in a precision, each a fallback for the one before."""
    if precision != "int8":
        return (Attempt(precision),)
    return Attempt("int8"), Attempt("int8", tuned=True), Attempt("int8-weights")


def write_export(
    source: ExportSource,
    folder: Path,
    to: Target,
    attempts: Sequence[Attempt],
    *,
    listener: Listener = silent,
) -> Export:
    """Fill a folder with an export: the first attempt that passes, else the last."""
    format_ = format_of(to)
    file = folder / format_.file
    tried: list[tuple[Attempt, Parity]] = []
    for attempt in attempts:
        task = f"Exporting {to} {attempt}"
        listener(Progress(task, 0, 1))
        source.write(format_, file, attempt.precision, tuned=attempt.tuned)
        # Native runtimes print what they delegate to.
        with silence_native_stderr():
            parity = source.parity(format_.open(file, cores()), attempt.precision)
        tried.append((attempt, parity))
        listener(Progress(task, 1, 1))
        if not parity.problem:
            break
    *failed, (kept, parity) = tried
    export = Export(folder, kept, size_of(file), parity, tuple(failed))
    write_package(folder, to, file, source.settings)
    write_json(folder / "parity.json", _record(source, to, export))
    _slices(source, parity).to_csv(folder / "parity.csv", index=False)
    return export


def _record(source: ExportSource, to: Target, export: Export) -> dict[str, Any]:
    """The content of parity.json."""
    package = format_of(to).package
    return {
        "format": to,
        "precision": export.attempt.precision,
        "tuned": export.attempt.tuned,
        "bytes": export.bytes,
        **export.parity.as_dict(),
        "failed_attempts": [
            {**asdict(attempt), **parity.as_dict()} for attempt, parity in export.failed
        ],
        "parts": "validation and test",
        "network_sha256": source.settings.network_sha256,
        "runtime": {package: version(package)},
        "environment": environment(),
    }


def _slices(source: ExportSource, parity: Parity) -> pd.DataFrame:
    """The content of parity.csv: each slice, with its probabilities by Keras and by the export."""
    table = source.usable.table.iloc[source.rows]
    probabilities = {
        "keras": parity.expected_probabilities,
        "export": parity.actual_probabilities,
    }
    columns = {
        f"{runtime}_p_{name}": values[:, code]
        for runtime, values in probabilities.items()
        for code, name in enumerate(source.settings.classes)
    }
    parts = np.where(np.isin(source.rows, source.split.test), "test", "validation")
    slices = table[["path", "index", "label"]].reset_index(drop=True)
    return slices.assign(part=parts, **columns)
