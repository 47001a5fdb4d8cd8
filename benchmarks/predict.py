"""From process start to prediction: `falx predict` against Keras on the same network.

    python benchmarks/predict.py RUN PATH

PATH is an image, or a folder of images. Each start is a Python process that reads the files and
prints their probabilities; falx and its peers take turns. The peers decode with PIL and call
`predict` of the run's own network.keras: in batches of 32, as is best for Keras, and for a folder
also image by image, as notebooks do. Memory is the peak resident set.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from processes import falx, medians, start

PEER = """
import os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np
from pathlib import Path
from PIL import Image
network = keras.saving.load_model(sys.argv[1] + "/detector/network.keras")
size, path, batch = network.input_shape[1], Path(sys.argv[2]), int(sys.argv[3])
files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
for start in range(0, len(files), batch):
    images = [Image.open(f).convert("L").resize((size, size)) for f in files[start:start + batch]]
    print(network.predict(np.stack(images).astype("float32")[..., None], verbose=0))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("path", type=Path)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    peer = [sys.executable, "-c", PEER, arguments.run, str(arguments.path)]
    commands = {
        "falx": falx("predict", arguments.run, arguments.path, "--csv", "-"),
        "Keras, batches of 32": [*peer, "32"],
    }
    if arguments.path.is_dir():
        commands["Keras, one by one"] = [*peer, "1"]
    measured = {name: [] for name in commands}
    for _ in range(arguments.starts):
        for name, command in commands.items():
            measured[name].append(start(command))
    found = {name: medians(each) for name, each in measured.items()}
    print(f"{'':20} {'seconds':>8} {'MB':>6} {'ratio':>6}")
    for name, (seconds, megabytes) in found.items():
        ratio = seconds / found["falx"][0]
        print(f"{name:20} {seconds:8.2f} {megabytes:6.0f} {ratio:6.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
