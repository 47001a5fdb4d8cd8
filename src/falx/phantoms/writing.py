"""Writing datasets of phantoms: slices as PNG, or volumes as NIfTI, with masks of their tumors."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
from numpy.random import default_rng

from falx.errors import BadInput
from falx.phantoms.heads.anatomy import Anatomies
from falx.phantoms.heads.volumes import make_volume
from falx.phantoms.phantom import Parameters, check_size, make_phantom
from falx.progress import Listener, Progress, silent

_FACTS = ("label", "seed", "index", "appearance", "plane", "kind", "mimics")


def write_phantoms(
    folder: Path,
    n: int,
    *,
    seed: int = 0,
    size: int = 224,
    anatomies: Anatomies | None = None,
    listener: Listener = silent,
) -> None:
    """Write a dataset: `n` slices as PNG, every second one with a tumor.

    `folder` gets yes/, no/ and phantoms.csv; the masks of yes/ go beside it, to FOLDER-masks/yes,
    where no catalog takes them for a class. Slice i depends only on (seed, i) and the anatomies.
    Both folders get their names only when they are complete.

    Args:
        anatomies: heads to draw; None for procedural ones.

    Raises:
        BadInput: the folder is in use or can't be written, a number is out of range, or a label map
            can't be used.
    """
    folder = folder.resolve()
    _check(n >= 2, f"`n` must be at least 2, for one phantom of each class, got {n}.")
    _check_numbers(seed, size)
    with _replacing(folder, folder.parent / f"{folder.name}-masks") as (slices, masks):
        for part in (slices / "yes", slices / "no", masks / "yes"):
            part.mkdir(parents=True)
        with (slices / "phantoms.csv").open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(("path", *_FACTS))
            for i in range(n):
                phantom = make_phantom((seed, i), tumor=i % 2 == 1, size=size, anatomies=anatomies)
                path = f"{phantom.label}/{i:05d}.png"
                _write_png(slices / path, phantom.pixels)
                if phantom.label == "yes":
                    _write_png(masks / path, phantom.mask.astype(np.uint8) * 255)
                table.writerow((path, *_facts(phantom.parameters, phantom.label, seed, i)))
                listener(Progress("Phantoms", i + 1, n))


def write_volumes(
    folder: Path,
    n: int,
    anatomies: Anatomies,
    *,
    seed: int = 0,
    size: int = 256,
    listener: Listener = silent,
) -> None:
    """Write `n` volumes of whole heads, every second one with a tumor, each in its own folder.

    `folder` gets head_NNN/image.nii.gz with image_mask.nii.gz, all 0 without a tumor, as
    `falx train` takes volumes and their masks, and phantoms.csv. It gets its name only when it is
    complete.

    Raises:
        BadInput: as `write_phantoms`.
    """
    folder = folder.resolve()
    _check(n >= 2, f"`n` must be at least 2, for one volume of each class, got {n}.")
    _check_numbers(seed, size)
    with _replacing(folder) as (root,):
        root.mkdir()
        with (root / "phantoms.csv").open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(("path", *_FACTS))
            for i in range(n):
                made = make_volume(default_rng((seed, i)), anatomies, tumor=i % 2 == 1, size=size)
                path = f"head_{i:03d}/image.nii.gz"
                (root / path).parent.mkdir()
                _write_nifti(root / path, made.values, made.affine)
                mask = (root / path).with_name("image_mask.nii.gz")
                _write_nifti(mask, made.mask.astype(np.uint8), made.affine)
                label = "yes" if made.parameters.tumors else "no"
                table.writerow((path, *_facts(made.parameters, label, seed, i)))
                listener(Progress("Volumes", i + 1, n))


def _facts(parameters: Parameters, label: str, seed: int, index: int) -> Sequence[object]:
    mimics = " ".join(parameters.mimics)
    return (
        label, seed, index, parameters.appearance, parameters.plane, parameters.kind, mimics
    )  # fmt: skip


@contextmanager
def _replacing(*targets: Path) -> Iterator[list[Path]]:
    """Folders to write to, which are renamed to the targets when all is written.

    The last target is renamed first.
    """
    try:
        for target in targets:
            is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
            _check(
                is_free, f"'{target}' exists and is not an empty folder; name another or remove it."
            )
        parent, name = targets[0].parent, targets[0].name
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(".partial", f"{name}-", parent) as partial:
            written = [Path(partial) / target.name for target in targets]
            yield written
            for source, target in zip(reversed(written), reversed(targets), strict=True):
                if target.exists():
                    target.rmdir()
                source.rename(target)
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(f"Phantoms can't be written to '{targets[0]}': {reason}.") from error


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _write_nifti(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _check_numbers(seed: int, size: int) -> None:
    _check(seed >= 0, f"`seed` must not be negative, got {seed}.")
    check_size(size)


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise BadInput(message)
