"""Synthetic brain slices, with and without a tumor, made from random numbers alone.

A slice is painted upright on a canvas, layer by layer, in units of the brain's half-length, then
placed (rotated, scaled, shifted, warped) and exposed (bias field, Rician noise, ringing, blur).
The tumor is drawn last and uses nothing up that the rest draws from, so that a seed gives the same
slice with and without one, but for the tumor's neighborhood: no other difference can give a class
away.

Good for demonstrations and tests; what a network learns here says nothing about patients.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.random import default_rng

from falx.data.phantom.appearance import APPEARANCES
from falx.data.phantom.lesions import REACH
from falx.data.phantom.painting import LEAST_SIZE, Phantom, check_size, paint
from falx.data.phantom.parameters import KINDS, MIMICS, Parameters, draw
from falx.data.phantom.planes import PLANES
from falx.errors import BadInput
from falx.progress import Listener, Progress, silent

__all__ = [
    "APPEARANCES",
    "KINDS",
    "LEAST_SIZE",
    "MIMICS",
    "PLANES",
    "REACH",
    "VERSION",
    "Parameters",
    "Phantom",
    "draw",
    "make_phantom",
    "paint",
    "write_phantoms",
]

VERSION = 1
"""To be raised when the same seed gives another phantom."""


def make_phantom(seed: int | Sequence[int], *, tumor: bool, size: int = 224) -> Phantom:
    """The phantom of a seed, `size` pixels square.

    Raises:
        BadInput: `size` is too small.
    """
    return paint(draw(default_rng(seed), tumor), size)


def write_phantoms(
    folder: Path, n: int, *, seed: int = 0, size: int = 224, listener: Listener = silent
) -> None:
    """Write a data set: `n` slices as PNG, every second one with a tumor.

    `folder` gets yes/, no/ and phantoms.csv; the masks of yes/ go beside it, to FOLDER-masks/yes,
    where no catalog takes them for a class. Slice i depends on (seed, i) alone. Both folders get
    their names only when they are whole.

    Raises:
        BadInput: the folder is in use or can't be written, or a number is out of range.
    """
    folder = folder.resolve()
    masks = folder.parent / f"{folder.name}-masks"
    _check(n >= 2, f"A set of phantoms needs `n` of at least 2, one of each class, got {n}.")
    _check(seed >= 0, f"`seed` must not be negative, got {seed}.")
    check_size(size)
    try:
        for taken in (folder, masks):
            free = not taken.exists() or (taken.is_dir() and not any(taken.iterdir()))
            _check(free, f"'{taken}' exists and is not an empty folder; name another or remove it.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(".partial", f"{folder.name}-", folder.parent) as partial:
            _write_set(Path(partial), n, seed, size, listener)
            # Masks first: where there are slices, their masks are there too.
            for source, target in (("masks", masks), ("slices", folder)):
                if target.exists():
                    target.rmdir()
                (Path(partial) / source).rename(target)
    except OSError as error:
        raise BadInput(f"Phantoms can't be written to '{folder}': {error.strerror}.") from error


def _write_set(root: Path, n: int, seed: int, size: int, listener: Listener) -> None:
    for part in ("slices/yes", "slices/no", "masks/yes"):
        (root / part).mkdir(parents=True)
    with (root / "slices" / "phantoms.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(
            ("path", "label", "seed", "index", "appearance", "plane", "kind", "radius", "mimics")
        )
        for i in range(n):
            phantom = make_phantom((seed, i), tumor=i % 2 == 1, size=size)
            drawn, tumor = phantom.parameters, phantom.parameters.tumor
            path = f"{phantom.label}/{i:05d}.png"
            _write_png(root / "slices" / path, phantom.pixels)
            if tumor is not None:
                _write_png(root / "masks" / path, phantom.mask.astype(np.uint8) * 255)
            about = (tumor.body.kind, f"{tumor.body.radius:.4f}") if tumor else ("", "")
            mimics = " ".join(mimic.kind for mimic in drawn.head.mimics)
            look, plane = drawn.look.appearance, drawn.head.plane
            table.writerow((path, phantom.label, seed, i, look, plane, *about, mimics))
            listener(Progress("Phantoms", i + 1, n))


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise BadInput(message)
