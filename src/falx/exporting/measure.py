"""Benchmark an exported network in its own process.

python -m falx.exporting.measure FORMAT FILE VIEWS THREADS SECONDS prints READY after the first
inference, and then a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from falx.exporting.runtimes import OPENERS, Outputs, Runtime

READY = "ready"
_WARM_UP = 3
_MIN_RUNS = 10


def measure(runtime: Runtime, views: np.ndarray, seconds: float) -> dict[str, float | None]:
    """Latency of a single view, throughput of all views in one batch, and peak resident memory.

    Args:
        views: uint8 (n, size, size).
        seconds: to measure each of the two for.

    Returns:
        Milliseconds (median and 95th percentile), views per second, and megabytes.
    """
    single = _times(lambda: runtime(views[:1]), seconds)
    batch = _times(lambda: runtime(views), seconds)
    return {
        "median_ms": 1e3 * float(np.median(single)),
        "p95_ms": 1e3 * float(np.quantile(single, 0.95)),
        "per_second": len(views) / float(np.median(batch)),
        "memory_mb": _peak_memory(),
    }


def open_keras(file: Path, threads: int) -> Runtime:
    """Open a network.keras as the usual baseline: `keras.Model.predict` on TensorFlow."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    network = keras.saving.load_model(file)

    def run(views: np.ndarray) -> Outputs:
        logits = network.predict(views[..., None].astype(np.float32), verbose=0)
        not_computed = np.empty((len(views), 0, 0, 0), np.float32)
        return Outputs(logits, not_computed, not_computed, not_computed)

    return run


def _times(call: Callable[[], Outputs], seconds: float) -> list[float]:
    for _ in range(_WARM_UP):
        call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _MIN_RUNS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def _peak_memory() -> float | None:
    """Megabytes; None where the system is not Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


def _main(name: str, file: str, views_file: str, threads: str, seconds: str) -> None:
    views = np.load(views_file)
    runtime = {**OPENERS, "keras": open_keras}[name](Path(file), int(threads))
    runtime(views[:1])
    print(READY, flush=True)
    print(json.dumps(measure(runtime, views, float(seconds))), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
