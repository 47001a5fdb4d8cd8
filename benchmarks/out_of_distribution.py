"""What a detector rejects as out-of-distribution: images that are no brain slices, and slices.

    python benchmarks/out_of_distribution.py RUN DATA [--also FOLDER...] [--json FILE]

RUN was trained on DATA; of DATA, only its test part is used. Photographs and other scans are those
that scikit-learn, matplotlib and pydicom bring along; FOLDER holds more of your own. A file that
falx refuses to read gets no answer either, so it counts as rejected, and is listed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from pydicom.data import get_testdata_file
from sklearn.datasets import load_sample_images

from falx.data.read import find_files, read_slices
from falx.data.slices import Slice
from falx.detect.detector import Detector, load
from falx.errors import UnreadableImage
from falx.phantoms import draw, paint
from falx.runs.reading import open_run
from falx.serialization import write_json

OTHER_SCANS = (
    "CT_small.dcm", "liver_1frame.dcm", "rtdose_1frame.dcm", "693_J2KI.dcm", "JPEG2000.dcm",
    "examples_rgb_color.dcm", "examples_ybr_color.dcm", "examples_palette.dcm",
    "examples_jpeg2k.dcm", "SC_rgb_jpeg_dcmtk.dcm",
)  # fmt: skip
"""An abdomen, a liver, a dose, a heart, ultrasound and color charts."""


@dataclass(frozen=True)
class Images:
    """Images of one kind: what could be read, float32 (height, width), and why others could not."""

    pixels: list[np.ndarray]
    refused: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels) + len(self.refused)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--also", type=Path, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    detector = load(arguments.run)
    if detector.settings.rules.ood_threshold is None:
        sys.exit(f"The detector of '{arguments.run}' has no OOD threshold; name another.")
    heads = unseen_slices(arguments.run, arguments.data)
    others = {
        "photographs": Images(list(photographs())),
        "other scans": read(Path(get_testdata_file(name, download=False)) for name in OTHER_SCANS),
        "noise": Images(list(noise())),
        "blank and smooth": Images(list(smooth())),
        **{folder.name: read(find_files([folder])) for folder in arguments.also},
    }
    sets = {
        **others,
        "all of these": joined(others.values()),
        "unseen real slices": Images(heads),
        "rotated by 90 degrees": Images([np.rot90(image).copy() for image in heads]),
        "upside down": Images([image[::-1].copy() for image in heads]),
        "inverted": Images([image.max() - image for image in heads]),
        "phantoms": Images(list(phantoms())),
    }
    rows = {}
    print(f"{'images':28} {'n':>5} {'not read':>8} {'rejected':>8} {'distance / threshold':>21}")
    for name, images in sets.items():
        rejected, distance = rejection(detector, images)
        rows[name] = {
            "n": len(images),
            "refused": images.refused,
            "rejected": rejected,
            "distance": distance,
        }
        print(f"{name:28} {len(images):5} {len(images.refused):8} {rejected:8.1%} {distance:21.2f}")
    for reason in sets["all of these"].refused:
        print(f"not read: {reason}")
    if arguments.json:
        write_json(arguments.json, rows)


def rejection(detector: Detector, images: Images) -> tuple[float, float]:
    """The fraction rejected or not read, and the median distance relative to the OOD threshold."""
    slices = [
        Slice(path=Path(str(number)), pixels=each) for number, each in enumerate(images.pixels)
    ]
    findings = [detector.predict_slices([each])[0] for each in slices]
    threshold = detector.settings.rules.ood_threshold
    rejected = sum(finding.status == "out_of_distribution" for finding in findings)
    distance = float(np.median([finding.distance / threshold for finding in findings]))
    return (rejected + len(images.refused)) / len(images), distance


def read(files: Iterable[Path]) -> Images:
    """The first slice of each file."""
    pixels, refused = [], []
    for file in files:
        try:
            pixels.append(read_slices(file)[0].pixels)
        except UnreadableImage as error:
            refused.append(str(error))
    return Images(pixels, tuple(refused))


def joined(parts: Iterable[Images]) -> Images:
    """All images of several kinds."""
    kinds = list(parts)
    return Images(
        [image for each in kinds for image in each.pixels],
        tuple(reason for each in kinds for reason in each.refused),
    )


def unseen_slices(run: Path, data: Path) -> list[np.ndarray]:
    """Pixels of the test part of a training."""
    paths = open_run(run).evaluation.predictions.table["path"]
    return [read_slices(data / path)[0].pixels for path in paths]


def photographs() -> Iterator[np.ndarray]:
    """Whole ones and ninths of them, as gray levels."""
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    for image in (*load_sample_images().images, cv2.imread(str(hopper))):
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        yield gray
        for rows in np.array_split(gray, 3):
            yield from (part.copy() for part in np.array_split(rows, 3, axis=1))


def noise() -> Iterator[np.ndarray]:
    """White noise, and noise ever more blurred."""
    rng = np.random.default_rng(0)
    for number in range(20):
        white = rng.random((200, 200), np.float32)
        yield cv2.GaussianBlur(white, (0, 0), number / 4) if number else white


def smooth() -> Iterator[np.ndarray]:
    """Uniform images, and smooth gradients."""
    rng = np.random.default_rng(1)
    for number in range(20):
        if number < 8:
            yield np.full((200, 200), number / 8, np.float32)
        else:
            knots = rng.random((number % 6 + 2,) * 2, np.float32)
            yield cv2.resize(knots, (200, 200), interpolation=cv2.INTER_LINEAR)


def phantoms() -> Iterator[np.ndarray]:
    for number in range(60):
        parameters = draw(np.random.default_rng((5, number)), number % 2 == 1)
        yield paint(parameters, 256).pixels.astype(np.float32) / 255


if __name__ == "__main__":
    main()
