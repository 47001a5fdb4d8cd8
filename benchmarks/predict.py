"""Process start to answer: `falx predict` on one image, against Keras on the same network.

    python benchmarks/predict.py RUN IMAGE

Both start a Python process, read the image and give the probability. Medians over several starts,
in turn, so that a noisy machine treats both alike; memory is the largest resident set.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

PEER = """
import json, sys
import keras, numpy as np
from PIL import Image
network = keras.saving.load_model(sys.argv[1] + "/detector/network.keras")
size = network.input_shape[1]
image = Image.open(sys.argv[2]).convert("L").resize((size, size))
print(network.predict(np.asarray(image, np.float32)[None, :, :, None], verbose=0))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("image")
    parser.add_argument("--starts", type=int, default=7)
    given = parser.parse_args()
    falx = [sys.executable, "-m", "falx.cli", "predict", given.run, given.image, "--csv", "-"]
    peer = [sys.executable, "-c", PEER, given.run, given.image]
    measured: dict[str, list[tuple[float, float]]] = {"falx": [], "Keras": []}
    for _ in range(given.starts):
        measured["falx"].append(start(falx))
        measured["Keras"].append(start(peer))
    medians = {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True))
        for name, rows in measured.items()
    }
    for name, (seconds, megabytes) in medians.items():
        print(f"{name:>6}: {seconds:.2f} s, {megabytes:.0f} MB")
    print(f" ratio: {medians['Keras'][0] / medians['falx'][0]:.1f} times as fast")


def start(command: list[str]) -> tuple[float, float]:
    """Seconds and largest resident megabytes of a process."""
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        sys.exit(f"'{' '.join(command[:4])} ...' failed.")
    return seconds, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
