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
from pathlib import Path

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
        if part is None:
            continue
        shown = network_input(views)
        taken = fastest(lambda part=part, shown=shown: part.predict(shown, verbose=0))
        rates = {"Keras": VIEWS / taken}
        for batch in BATCHES:
            trunk.BATCH = batch
            with tempfile.TemporaryDirectory() as folder:
                digest = trunk.trunk_digest(part, "fp32")
                compiled = trunk.compile_trunk(part, digest, Shelf(Path(folder), 1))
                rates[str(batch)] = VIEWS / fastest(lambda run=compiled.run: list(run([views])))
        said = ", ".join(f"{name}: {rate:.0f}" for name, rate in rates.items())
        print(f"trunk of phase '{phase.name}', views a second: {said}", flush=True)


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
