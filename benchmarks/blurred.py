"""What a detector predicts when evidence is removed by blurring or by a uniform image.

    python benchmarks/blurred.py RUN DATA

Prints the mean probability of the positive class, by true class, for slices as they are and
blurred, and for squares of one gray level.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.detect.detector import load
from falx.image.render import render

BLURS = (0.01, 0.02, 0.05, 0.1)
"""Standard deviations, as fractions of the side of the view."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    detector = load(arguments.run)
    usable = build_catalog(arguments.data).usable()
    rendering = detector.settings.rendering
    views = np.stack(
        [
            render(read_slices(arguments.data / path)[index].pixels, rendering)
            for path, index in zip(usable.table["path"], usable.table["index"], strict=True)
        ]
    )
    print(f"| | {usable.classes[1]} | {usable.classes[0]} |\n| --- | --- | --- |")
    for blur in (0, *BLURS):
        inputs = views
        if blur:
            inputs = np.stack([cv2.GaussianBlur(v, (0, 0), blur * rendering.size) for v in views])
        probabilities = detector.probabilities(inputs)[:, 1]
        means = [f"{probabilities[usable.labels == label].mean():.3f}" for label in (1, 0)]
        name = f"blurred by {blur:.0%} of the side" if blur else "unchanged"
        print(f"| {name} | " + " | ".join(means) + " |")
    for level in (0, 128):
        square = np.full((1, rendering.size, rendering.size), level, np.uint8)
        print(f"| a square of gray level {level} | {detector.probabilities(square)[0, 1]:.3f} | |")


if __name__ == "__main__":
    main()
