"""A contact sheet of phantoms as views of a network, optionally beside real slices.

python benchmarks/sheet.py docs/phantom.jpg [--anatomy DIR] [--beside DATA]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.image.render import render
from falx.phantoms import find_anatomies, make_phantom
from falx.recipe import Rendering

ROWS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--anatomy", type=Path, help="label maps of whole heads")
    parser.add_argument("--beside", type=Path, help="a folder of slices, shown to the right")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    columns = 6 if arguments.beside else 12
    anatomies = find_anatomies(arguments.anatomy) if arguments.anatomy else None
    phantoms = [
        make_phantom((arguments.seed, i), tumor=i % 2 == 1, anatomies=anatomies).pixels
        / np.float32(255)
        for i in range(ROWS * columns)
    ]
    sheet = contact_sheet(phantoms)
    if arguments.beside:
        usable = build_catalog(arguments.beside).usable()
        rows = np.random.default_rng(arguments.seed).permutation(len(usable))[: ROWS * columns]
        real = [_pixels(usable.file(row), int(usable.table["index"].iloc[row])) for row in rows]
        gap = np.full((len(sheet), 12), 255, np.uint8)
        sheet = np.hstack([sheet, gap, contact_sheet(real)])
    cv2.imwrite(str(arguments.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 80])


def contact_sheet(slices: list[np.ndarray]) -> np.ndarray:
    """Slices of gray levels [0, 1] in `ROWS` rows, each cropped to its head."""
    views = [render(pixels, Rendering(size=160)) for pixels in slices]
    columns = len(views) // ROWS
    return np.vstack([np.hstack(views[i * columns : (i + 1) * columns]) for i in range(ROWS)])


def _pixels(file: Path, index: int) -> np.ndarray:
    return next(slice_.pixels for slice_ in read_slices(file) if slice_.index == index)


if __name__ == "__main__":
    main()
