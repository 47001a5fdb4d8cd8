"""`bench`: every export of a detector, checked for parity and measured on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from falx.declaration import command_line, takes
from falx.deployment.benchmark import Row, benchmark
from falx.deployment.benchmark_table import as_markdown, as_table
from falx.deployment.source import open_source
from falx.detect.detector import detector_folder
from falx.environment import environment
from falx.errors import BadInput
from falx.exporting.keras_network import keras_file
from falx.extras import check_installed
from falx.figures import style
from falx.progress import Listener, silent
from falx.reporting.benchmark_figure import benchmark_bars
from falx.runs.folder import check_free, new_folder, stamped
from falx.runs.options import BenchOptions
from falx.serialization import write_json


@dataclass(frozen=True)
class Benchmark:
    """What `bench` leaves behind: the folder, with bench.md, .csv, .json, .png and exports/."""

    folder: Path
    rows: tuple[Row, ...]


@takes(BenchOptions)
def bench(
    run: str | Path | None, *, listener: Listener = silent, **options: Unpack[BenchOptions]
) -> Benchmark:
    """Export to every format in every precision, and measure each beside `keras.Model.predict`.

    Args:
        run: the folder of a training, or of another detector, for which `data` is needed; None for
            the detector that ships with falx.
        listener: receives progress.
        options: see falx.runs.options.BenchOptions.

    Raises:
        FalxError: run or data can't be used.
    """
    rounds, seconds = options["rounds"], options["seconds"]
    if rounds < 1 or not seconds > 0:
        raise BadInput(f"A benchmark needs rounds and seconds, got {rounds} and {seconds}.")
    check_installed("export", "falx bench")
    folder = Path(options["out"] or stamped("bench"))
    check_free(folder, "the benchmark")
    source = open_source(run, data=options["data"], cache_gb=options["cache_gb"], listener=listener)
    with new_folder(folder, "the benchmark") as filling:
        network = keras_file(detector_folder(run), filling)
        rows = benchmark(
            source, network, filling / "exports",
            rounds=rounds, seconds=seconds, listener=listener,
        )  # fmt: skip
        command = command_line("bench", [run] if run else [], BenchOptions, options)
        _write(filling, rows, command, len(source.rows))
    return Benchmark(folder, rows)


def _write(folder: Path, rows: tuple[Row, ...], command: str, slices: int) -> None:
    machine = environment()
    table = as_table(rows)
    table.to_csv(folder / "bench.csv", index=False)
    content = {"command": command, "slices": slices, **machine}
    write_json(
        folder / "bench.json", content | {"rows": json.loads(table.to_json(orient="records"))}
    )
    text = (
        f"`{command}` on {machine['cpu']}, {machine['cores']} cores; AUC on {slices} slices of "
        f"validation and test.\n\n{as_markdown(rows)}"
    )
    (folder / "bench.md").write_text(text, "utf-8")
    if any(row.timings for row in rows):
        style.save(benchmark_bars(rows), folder / "bench.png")
