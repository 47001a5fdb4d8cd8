"""Classify images by an exported network: python classify.py IMAGE...

Reads JPEG and PNG of 8 bits; for DICOM, NIfTI and the rest there is falx. Prints a line an image:
name, label, and the probability of each class.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np

from falx.exporting.runtimes import open_litert, open_onnx, open_openvino
from falx.image.render import render
from falx.recipe import Rendering


def read_grey(file: Path) -> np.ndarray:
    """Grey levels of an image of 8 bits: float32 (height, width), [0, 1].

    Color becomes grey by ITU-R BT.601, and transparency lies over black.
    """
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8:
        sys.exit(f"'{file}' is no image of 8 bits; use falx predict.")
    levels = image.astype(np.float32) / 255
    if levels.ndim == 2:
        return levels
    color = bool((image[..., :3] != image[..., :1]).any())
    grey = cv2.cvtColor(levels[..., :3], cv2.COLOR_BGR2GRAY) if color else levels[..., 0]
    if levels.shape[2] == 4:
        grey = grey * levels[..., 3]
    return np.clip(grey, 0, 1)


def classify(files: list[str]) -> None:
    """Print what the network beside this file says of images."""
    folder = Path(__file__).parent
    about = json.loads((folder / "labels.json").read_text("utf-8"))
    opened = {"openvino": open_openvino, "onnx": open_onnx, "litert": open_litert}
    answer = opened[about["format"]](folder / about["file"], os.cpu_count() or 1)
    for file in files:
        view = render(read_grey(Path(file)), Rendering(**about["rendering"]))
        (row,) = answer(view[None]).probabilities
        # Of two classes, the second is the positive one, and has a threshold.
        two = len(row) == 2
        best = int(row[1] >= about["threshold"]) if two else int(row.argmax())
        chances = "\t".join(
            f"{name} {p:.4f}" for name, p in zip(about["classes"], row, strict=True)
        )
        print(f"{file}\t{about['classes'][best]}\t{chances}")  # noqa: T201


if __name__ == "__main__":
    classify(sys.argv[1:])
