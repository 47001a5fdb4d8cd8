"""What a detector refuses: images that are no brain slices, and real slices that it never saw.

python benchmarks/foreign.py RUN DATA [--also FOLDER...] [--json FILE]

RUN was trained on DATA; of DATA, only its test part counts as real. Photographs and other scans
are those that scikit-learn, matplotlib and pydicom bring along; FOLDER holds more of your own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
from pydicom.data import get_testdata_file
from sklearn.datasets import load_sample_images

from falx.data.phantom import draw, paint
from falx.data.read import Slice, find_files, read_slices
from falx.detect.detector import Detector, load
from falx.errors import UnreadableImage

NOT_HEADS = (
    "CT_small.dcm", "liver_1frame.dcm", "rtdose_1frame.dcm", "693_J2KI.dcm", "JPEG2000.dcm",
    "examples_rgb_color.dcm", "examples_ybr_color.dcm", "examples_palette.dcm",
    "examples_jpeg2k.dcm", "SC_rgb_jpeg_dcmtk.dcm",
)  # fmt: skip
"""An abdomen, a liver, a dose, a heart, ultrasound and color charts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--also", type=Path, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    detector = load(given.run)
    if detector.settings.rules.limit is None:
        sys.exit(
            f"The detector of '{given.run}' has no limit, so it refuses nothing; name another."
        )
    heads = tested(given.run, given.data)
    foreign = {
        "photographs": list(photographs()),
        "other scans": list(other_scans()),
        "noise": list(noise()),
        "blank and smooth": list(smooth()),
        **{folder.name: list(found_in(folder)) for folder in given.also},
    }
    shown = {
        **foreign,
        "all of them": [image for images in foreign.values() for image in images],
        "real slices, unseen": heads,
        "the same on their side": [np.rot90(image).copy() for image in heads],
        "upside down": [image[::-1].copy() for image in heads],
        "black for white": [image.max() - image for image in heads],
        "phantoms": list(phantoms()),
    }
    rows = {}
    print(f"{'images':28} {'n':>5} {'refused':>8} {'of the limit, median':>21}")
    for name, images in shown.items():
        share, distance = refused(detector, images)
        rows[name] = {"n": len(images), "refused": share, "distance_of_limit": distance}
        print(f"{name:28} {len(images):5} {share:8.1%} {distance:21.2f}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def refused(detector: Detector, images: list[np.ndarray]) -> tuple[float, float]:
    """The share that is refused, and the median distance as a share of the limit."""
    slices = [Slice(path=Path(str(number)), pixels=image) for number, image in enumerate(images)]
    findings = [detector.find([one])[0] for one in slices]
    distances = [finding.distance / detector.settings.rules.limit for finding in findings]
    share = float(np.mean([finding.status == "foreign" for finding in findings]))
    return share, float(np.median(distances))


def tested(run: Path, data: Path) -> list[np.ndarray]:
    split = pd.read_csv(run / "split.csv")
    rows = split[split["part"] == "test"]
    return [read_slices(data / path)[0].pixels for path in rows["path"]]


def photographs() -> Iterator[np.ndarray]:
    """Whole ones and ninths of them, as grey levels."""
    named = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    for image in (*load_sample_images().images, cv2.imread(str(named))):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        yield grey
        for rows in np.array_split(grey, 3):
            yield from (part.copy() for part in np.array_split(rows, 3, axis=1))


def other_scans() -> Iterator[np.ndarray]:
    for name in NOT_HEADS:
        yield read_slices(Path(get_testdata_file(name, download=False)))[0].pixels


def noise() -> Iterator[np.ndarray]:
    generator = np.random.default_rng(0)
    for number in range(20):
        fine = generator.random((200, 200), np.float32)
        yield cv2.GaussianBlur(fine, (0, 0), number / 4) if number else fine


def smooth() -> Iterator[np.ndarray]:
    generator = np.random.default_rng(1)
    for number in range(20):
        if number < 8:
            yield np.full((200, 200), number / 8, np.float32)
        else:
            coarse = generator.random((number % 6 + 2,) * 2, np.float32)
            yield cv2.resize(coarse, (200, 200), interpolation=cv2.INTER_LINEAR)


def phantoms() -> Iterator[np.ndarray]:
    for number in range(60):
        drawn = draw(np.random.default_rng((5, number)), number % 2 == 1)
        yield paint(drawn, 256).pixels.astype(np.float32) / 255


def found_in(folder: Path) -> Iterator[np.ndarray]:
    for file in find_files([folder]):
        try:
            yield read_slices(file)[0].pixels
        except UnreadableImage as error:
            print(f"left out: {error}")


if __name__ == "__main__":
    main()
