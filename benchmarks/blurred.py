"""What a detector says of slices of which something was taken: is a blurred head no tumor?

    python benchmarks/blurred.py RUN DATA

Prints the mean probability of the positive class, by true class, of slices as they are and blurred,
and of squares of one gray level.
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

BLURS = (0.01, 0.02, 0.05, 0.1)  # standard deviation, in sides of the view


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    detector = load(given.run)
    usable = build_catalog(given.data).usable()
    rendering = detector.settings.rendering
    views = np.stack(
        [
            render(read_slices(given.data / path)[index].pixels, rendering)
            for path, index in zip(usable.table["path"], usable.table["index"], strict=True)
        ]
    )
    print(f"| | {usable.classes[1]} | {usable.classes[0]} |\n| --- | --- | --- |")
    for blur in (0, *BLURS):
        shown = views
        if blur:
            shown = np.stack([cv2.GaussianBlur(v, (0, 0), blur * rendering.size) for v in views])
        p = detector.probabilities(shown)[:, 1]
        means = [f"{p[usable.labels == label].mean():.3f}" for label in (1, 0)]
        name = f"blurred by {blur:.0%} of the side" if blur else "as they are"
        print(f"| {name} | " + " | ".join(means) + " |")
    for level in (0, 128):
        square = np.full((1, rendering.size, rendering.size), level, np.uint8)
        print(f"| a square of gray level {level} | {detector.probabilities(square)[0, 1]:.3f} | |")


if __name__ == "__main__":
    main()
