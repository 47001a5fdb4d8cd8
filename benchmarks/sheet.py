"""A contact sheet of phantoms as networks are shown them, perhaps beside real slices.

python benchmarks/sheet.py docs/phantom.jpg [--beside DATA]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from falx.data.catalog import build_catalog
from falx.data.phantom import make_phantom
from falx.data.read import read_slices
from falx.image.render import render
from falx.recipe import Rendering

ROWS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--beside", type=Path, help="a folder of slices; they go to the right")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    across = 5 if given.beside else 8
    phantoms = [
        make_phantom((given.seed, i), tumor=i % 2 == 1).pixels / np.float32(255)
        for i in range(ROWS * across)
    ]
    sheet = laid_out(phantoms)
    if given.beside:
        usable = build_catalog(given.beside).usable()
        rows = np.random.default_rng(given.seed).permutation(len(usable))[: ROWS * across]
        real = [read_slices(usable.file(row))[0].pixels for row in rows]
        sheet = np.hstack([sheet, np.full((len(sheet), 12), 255, np.uint8), laid_out(real)])
    cv2.imwrite(str(given.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 80])


def laid_out(slices: list[np.ndarray]) -> np.ndarray:
    """Slices of grey levels [0, 1] in rows, each cut to its head."""
    views = [render(pixels, Rendering(size=160)) for pixels in slices]
    across = len(views) // ROWS
    return np.vstack([np.hstack(views[i * across : (i + 1) * across]) for i in range(ROWS)])


if __name__ == "__main__":
    main()
