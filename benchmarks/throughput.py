"""Peak arithmetic of this machine, and the throughput of frozen trunks.

    python benchmarks/throughput.py --weights FILE

Prints how fast NumPy multiplies large matrices, on one core and on all; and for the trunk of each
phase of a recipe, views per second by Keras and by OpenVINO at several batch sizes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from falx.model.network import build_network, cut_network
from falx.model.scaling import network_input
from falx.parallel import cores
from falx.recipe import load_recipe
from falx.training import trunk
from falx.training.disk_cache import DiskCache

SIDE = 4000
VIEWS = 256
BATCH_SIZES = (1, 2, 4, 8, 16, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--recipe", default="paper")
    arguments = parser.parse_args()
    matrix = np.ones((SIDE, SIDE), np.float32)
    for threads in (1, cores()):
        with threadpool_limits(threads):
            rate = 2 * SIDE**3 / fastest(lambda: matrix @ matrix)
        print(f"matrix product, {threads} threads: {rate / 1e9:.0f} billion operations per second")
    recipe = load_recipe(arguments.recipe)
    network = build_network(recipe, 2, arguments.weights)
    size = recipe.rendering.size
    views = np.random.default_rng(0).integers(0, 256, (VIEWS, size, size), np.uint8)
    for phase in recipe.phases:
        frozen = cut_network(network, recipe, phase).trunk
        if frozen is not None:
            rates = ", ".join(f"{by}: {rate:.0f}" for by, rate in throughput(frozen, views).items())
            print(f"trunk of phase '{phase.name}', views per second: {rates}", flush=True)


def throughput(network: keras.Model, views: np.ndarray) -> dict[str, float]:
    """Views per second through a trunk, by Keras and by OpenVINO at each batch size."""
    inputs = network_input(views)
    seconds = {"Keras": fastest(lambda: network.predict(inputs, verbose=0))}
    with tempfile.TemporaryDirectory() as folder:
        cache, digest = DiskCache(Path(folder), 1), trunk.trunk_digest(network, "fp32")
        for batch_size in BATCH_SIZES:
            trunk.BATCH_SIZE = batch_size
            compiled = trunk.compile_trunk(network, digest, cache)
            seconds[str(batch_size)] = fastest(partial(_exhaust, compiled, views))
    return {name: len(views) / each for name, each in seconds.items()}


def _exhaust(compiled: trunk.Trunk, views: np.ndarray) -> None:
    for _ in compiled.run([views]):
        pass


def fastest(work: Callable[[], object], times: int = 4) -> float:
    """The least time in seconds of several calls; the first is a warm-up."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds[1:])


if __name__ == "__main__":
    main()
