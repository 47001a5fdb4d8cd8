"""Classify images with an exported network: python classify.py IMAGE...

Reads 8-bit JPEG and PNG; for DICOM, NIfTI and other formats, use falx predict. Prints one line per
image: name, status (answer, refer, or out_of_distribution), label, and the probability of each
class. An out-of-distribution image is unlike the training slices and has no label.
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


def read_gray(file: Path) -> np.ndarray:
    """Gray levels of an 8-bit image: float32 (height, width), [0, 1].

    Color is converted to gray by ITU-R BT.601, transparency is composited over black, and the EXIF
    orientation of a JPEG is applied.

    Raises:
        ValueError: it is not such an image.
    """
    content = file.read_bytes()
    flags = cv2.IMREAD_UNCHANGED
    if content[:2] == b"\xff\xd8":
        # UNCHANGED would ignore the orientation; a JPEG has no transparency.
        flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if image is None or image.dtype != np.uint8:
        raise ValueError("not an 8-bit image; use falx predict")
    levels = image.astype(np.float32) / 255
    if levels.ndim == 2:
        return levels
    color = bool((image[..., :3] != image[..., :1]).any())
    gray = cv2.cvtColor(levels[..., :3], cv2.COLOR_BGR2GRAY) if color else levels[..., 0]
    if levels.shape[2] == 4:
        gray = gray * levels[..., 3]
    return np.clip(gray, 0, 1)


def classify(files: list[str]) -> int:
    """Print a line per image; the exit code is 1 if one can't be read."""
    folder = Path(__file__).parent
    about = json.loads((folder / "labels.json").read_text("utf-8"))
    run = OPENERS[about["format"]](folder / about["file"], os.cpu_count() or 1)
    rules = Rules.from_dict(about["rules"])
    exit_code = 0
    for file in files:
        try:
            view = render(read_gray(Path(file)), Rendering(**about["rendering"]))
        except (OSError, ValueError) as error:
            exit_code = 1
            print(f"{file}: {error}", file=sys.stderr)
            continue
        outputs = run(view[None])
        probabilities, distance = outputs.probabilities[0], float(outputs.distances[0])
        status = status_of(probabilities, distance, rules)
        fields = [file, status]
        if status != "out_of_distribution":
            fields.append(decide(probabilities, about["classes"], rules.threshold)[0])
            by_class = zip(about["classes"], probabilities, strict=True)
            fields += [f"{name} {probability:.4f}" for name, probability in by_class]
        print("\t".join(fields))
    return exit_code


if __name__ == "__main__":
    sys.exit(classify(sys.argv[1:]) if sys.argv[1:] else "usage: python classify.py IMAGE...")
