"""What this machine multiplies at most, and how many views a second go through a trunk.

python benchmarks/limits.py --weights FILE

Prints how fast NumPy multiplies large matrices, by one core and by all; and for the trunk of each
phase of a recipe, views a second by Keras and by OpenVINO, by the number of views at a time.
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

from falx.model.network import build_network, network_input, part_network
from falx.parallel import cores
from falx.recipe import load_recipe
from falx.training import trunk
from falx.training.shelf import Shelf

SIDE = 4000
VIEWS = 256
BATCHES = (1, 2, 4, 8, 16, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--recipe", default="paper")
    given = parser.parse_args()
    matrix = np.ones((SIDE, SIDE), np.float32)
    for threads in (1, cores()):
        with threadpool_limits(threads):
            rate = 2 * SIDE**3 / fastest(lambda: matrix @ matrix)
        print(f"matrices, {threads} threads: {rate / 1e9:.0f} billion operations a second")
    recipe = load_recipe(given.recipe)
    network = build_network(recipe, 2, given.weights)
    size = recipe.rendering.size
    views = np.random.default_rng(0).integers(0, 256, (VIEWS, size, size), np.uint8)
    for phase in recipe.phases:
        part = part_network(network, recipe, phase).trunk
        if part is not None:
            said = ", ".join(f"{name}: {rate:.0f}" for name, rate in rates_of(part, views).items())
            print(f"trunk of phase '{phase.name}', views a second: {said}", flush=True)


def rates_of(network: keras.Model, views: np.ndarray) -> dict[str, float]:
    """Views a second through a trunk, by Keras and by the number that OpenVINO takes at a time."""
    shown = network_input(views)
    seconds = {"Keras": fastest(lambda: network.predict(shown, verbose=0))}
    with tempfile.TemporaryDirectory() as folder:
        shelf, digest = Shelf(Path(folder), 1), trunk.trunk_digest(network, "fp32")
        for batch in BATCHES:
            trunk.BATCH = batch
            compiled = trunk.compile_trunk(network, digest, shelf)
            seconds[str(batch)] = fastest(partial(_exhaust, compiled, views))
    return {name: len(views) / each for name, each in seconds.items()}


def _exhaust(compiled: trunk.Trunk, views: np.ndarray) -> None:
    for _ in compiled.run([views]):
        pass


def fastest(work: Callable[[], object], times: int = 4) -> float:
    """The least of several times that it takes, in seconds; the first goes by."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])


if __name__ == "__main__":
    main()
