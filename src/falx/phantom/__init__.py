"""Phantoms: synthetic brain slices with and without a tumor, from random parameters alone.

A slice is painted upright on a canvas, layer by layer, in half-lengths of the brain, then placed
(rotated, scaled, shifted, warped) and acquired (bias field, Rician noise, ringing, blur). The
parameters of the tumor are drawn last, so that a seed gives the same slice with and without one,
except around the tumor: no other difference can give the class away.

For demonstrations, tests and pretraining; results on phantoms say nothing about patients.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.random import default_rng

from falx.errors import BadInput
from falx.phantom.appearance import APPEARANCES
from falx.phantom.lesions import REACH
from falx.phantom.painting import MIN_SIZE, Phantom, check_size, paint
from falx.phantom.parameters import KINDS, MIMICS, Parameters, draw
from falx.phantom.planes import PLANES
from falx.progress import Listener, Progress, silent

__all__ = [
    "APPEARANCES",
    "KINDS",
    "MIMICS",
    "MIN_SIZE",
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
"""To be raised when a seed gives another phantom."""


def make_phantom(seed: int | Sequence[int], *, tumor: bool, size: int = 224) -> Phantom:
    """The phantom of a seed, `size` pixels square.

    Raises:
        BadInput: `size` is too small.
    """
    return paint(draw(default_rng(seed), tumor), size)


def write_phantoms(
    folder: Path, n: int, *, seed: int = 0, size: int = 224, listener: Listener = silent
) -> None:
    """Write a dataset: `n` slices as PNG, every second one with a tumor.

    `folder` gets yes/, no/ and phantoms.csv; the masks of yes/ go beside it, to FOLDER-masks/yes,
    where no catalog takes them for a class. Slice i depends only on (seed, i). Both folders get
    their names only when they are complete.

    Raises:
        BadInput: the folder is in use or can't be written, or a number is out of range.
    """
    folder = folder.resolve()
    masks = folder.parent / f"{folder.name}-masks"
    _check(n >= 2, f"`n` must be at least 2, for one phantom of each class, got {n}.")
    _check(seed >= 0, f"`seed` must not be negative, got {seed}.")
    check_size(size)
    try:
        for target in (folder, masks):
            is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
            _check(
                is_free, f"'{target}' exists and is not an empty folder; name another or remove it."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(".partial", f"{folder.name}-", folder.parent) as partial:
            _write_set(Path(partial), n, seed, size, listener)
            # Masks first, so that there are no slices without their masks.
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
            parameters, tumor = phantom.parameters, phantom.parameters.tumor
            path = f"{phantom.label}/{i:05d}.png"
            _write_png(root / "slices" / path, phantom.pixels)
            if tumor is not None:
                _write_png(root / "masks" / path, phantom.mask.astype(np.uint8) * 255)
            kind_and_radius = (tumor.body.kind, f"{tumor.body.radius:.4f}") if tumor else ("", "")
            mimics = " ".join(mimic.kind for mimic in parameters.head.mimics)
            appearance, plane = parameters.acquisition.appearance, parameters.head.plane
            table.writerow(
                (path, phantom.label, seed, i, appearance, plane, *kind_and_radius, mimics)
            )
            listener(Progress("Phantoms", i + 1, n))


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise BadInput(message)
