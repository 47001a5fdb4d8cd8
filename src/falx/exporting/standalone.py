"""Classify images by an exported network: python classify.py IMAGE...

Reads JPEG and PNG of 8 bits; for DICOM, NIfTI and the rest there is falx. Prints a line an image:
name, what to make of it (answer, refer, or foreign), label, and the probability of each class. A
foreign image is like nothing that the network was trained on, and has no label.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np

from falx.detect.rules import Rules, decide, status_of
from falx.exporting.runtimes import OPENERS
from falx.image.render import render
from falx.recipe import Rendering


def read_grey(file: Path) -> np.ndarray:
    """Grey levels of an image of 8 bits: float32 (height, width), [0, 1].

    Color becomes grey by ITU-R BT.601, transparency lies over black, and a JPEG is turned as its
    EXIF says.

    Raises:
        ValueError: it is no such image.
    """
    content = file.read_bytes()
    kinds = cv2.IMREAD_UNCHANGED
    if content[:2] == b"\xff\xd8":
        # UNCHANGED would leave it unturned; a JPEG has no transparency.
        kinds = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    image = cv2.imdecode(np.frombuffer(content, np.uint8), kinds) if content else None
    if image is None or image.dtype != np.uint8:
        raise ValueError("no image of 8 bits; use falx predict")
    levels = image.astype(np.float32) / 255
    if levels.ndim == 2:
        return levels
    color = bool((image[..., :3] != image[..., :1]).any())
    grey = cv2.cvtColor(levels[..., :3], cv2.COLOR_BGR2GRAY) if color else levels[..., 0]
    if levels.shape[2] == 4:
        grey = grey * levels[..., 3]
    return np.clip(grey, 0, 1)


def classify(files: list[str]) -> int:
    """Print what the network beside this file says of images; 1 where one can't be read."""
    folder = Path(__file__).parent
    about = json.loads((folder / "labels.json").read_text("utf-8"))
    answer = OPENERS[about["format"]](folder / about["file"], os.cpu_count() or 1)
    rules = Rules(**about["rules"])
    unread = 0
    for file in files:
        try:
            view = render(read_grey(Path(file)), Rendering(**about["rendering"]))
        except (OSError, ValueError) as error:
            unread = 1
            print(f"{file}: {error}", file=sys.stderr)
            continue
        found = answer(view[None])
        row, distance = found.probabilities[0], float(found.distances[0])
        words = [file, status_of(row, distance, rules)]
        if words[-1] != "foreign":
            words.append(decide(row, about["classes"], rules.threshold)[0])
            named = zip(about["classes"], row, strict=True)
            words += [f"{name} {p:.4f}" for name, p in named]
        print("\t".join(words))
    return unread


if __name__ == "__main__":
    sys.exit(classify(sys.argv[1:]) if sys.argv[1:] else "usage: python classify.py IMAGE...")
