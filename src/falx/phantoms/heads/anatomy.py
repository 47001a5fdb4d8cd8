"""Anatomies: heads as maps of tissues, made of label maps of whole heads."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from falx.errors import BadInput
from falx.phantoms.heads.tissues import BRAIN, CODES, TISSUES

TABLE = "labels.csv"
"""A table of this name in the folder says what the numbers of its label maps stand for."""

_SOFT_TISSUE = "soft_tissue"
"""A name in tables for what is neither skin, bone nor brain; it is parted into fat and muscle."""

_SCALP = 7
"""Depth of the fat below the skin, in millimeters, at most."""
_ORBIT = 14
"""Distance from the eyes within which soft tissue is fat, in millimeters along each axis."""
_DURA = 4
"""Distance from the bone within which fluid is a place for a meningioma, in millimeters."""
_SELLA = (0.0, 1.0, -10.0)
"""Where the pituitary gland lies, from the center of the optic chiasm, in millimeters (RAS)."""

_MAX_SITES = 20_000
_MIN_BRAIN = 200_000
"""Least brain in a label map of a head, in cubic millimeters."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A head at rest.

    Attributes:
        tissues: uint8 (x, y, z), RAS, codes of falx.phantoms.heads.tissues; air on its outermost
            voxels.
        spacing: of its voxels in millimeters.
        center: of the brain, in voxels.
        sites: where lesions may start, by the name of the place: voxels float32 (n, 3).
    """

    tissues: np.ndarray
    spacing: np.ndarray
    center: np.ndarray
    sites: Mapping[str, np.ndarray]

    def plane_name(self, above: float) -> str:
        """The name of an axial plane so many millimeters above the center of the brain.

        See falx.phantoms.classes.PLANE_NAMES.
        """
        voxel = round(float(self.center[2] + above / self.spacing[2]))
        shown = self.tissues[:, :, min(max(voxel, 0), self.tissues.shape[2] - 1)]
        has = np.bincount(shown.ravel(), minlength=len(TISSUES))
        if not has[BRAIN].sum():
            return "neck" if above < 0 else "high"
        if has[CODES["thalamus"]]:
            return "low"
        if above < 0:
            return "base"
        return "middle" if has[CODES["ventricle"]] > 100 else "high"


@dataclass(frozen=True)
class Anatomies:
    """The label maps of a folder, read when they are needed.

    Attributes:
        files: NIfTI files of whole heads.
        tissue_of: the tissue of each number in them.
    """

    files: tuple[Path, ...]
    tissue_of: tuple[tuple[int, str], ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Anatomy:
        """The anatomy of a file; kept in memory.

        Raises:
            BadInput: it can't be read, or is no label map of a head.
        """
        return _read(self.files[index], self.tissue_of)


def find_anatomies(folder: Path) -> Anatomies:
    """The label maps of whole heads in a folder: NIfTI files, of which none is read yet.

    Numbers are those of FreeSurfer and SynthSeg, and of head models for electric stimulation above
    500, unless the folder has a table "labels.csv" with the columns "label" and "tissue".

    Raises:
        BadInput: there is none, or the table is wrong.
    """
    if not folder.is_dir():
        raise BadInput(f"'{folder}' is no folder; name one with label maps of whole heads (NIfTI).")
    found = sorted(
        file for file in folder.iterdir() if file.name.endswith((".nii", ".nii.gz", ".mgz"))
    )
    if not found:
        raise BadInput(f"'{folder}' has no NIfTI files; label maps of whole heads are expected.")
    table = folder / TABLE
    if table.is_file():
        text = table.read_text("utf-8-sig", errors="replace")
    else:
        table, text = Path("tissues.csv"), files(__package__).joinpath("tissues.csv").read_text()
    return Anatomies(tuple(found), _parse(table, text))


def _parse(table: Path, text: str) -> tuple[tuple[int, str], ...]:
    pairs = []
    for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
        label, tissue = (row.get("label") or "").strip(), (row.get("tissue") or "").strip()
        if not label.isdecimal() or tissue not in (*TISSUES, _SOFT_TISSUE):
            raise BadInput(
                f"'{table}', line {number}: expected a number in the column 'label' and one of "
                f"{', '.join((*TISSUES, _SOFT_TISSUE))} in the column 'tissue'."
            )
        pairs.append((int(label), tissue))
    return tuple(pairs)


@functools.lru_cache(64)
def _read(file: Path, tissue_of: tuple[tuple[int, str], ...]) -> Anatomy:
    try:
        image = nib.as_closest_canonical(nib.load(file))
        labels = np.asarray(image.dataobj)
    except (OSError, ImageFileError, ValueError, EOFError) as error:
        raise BadInput(f"'{file}' can't be read: {error}.") from error
    spacing = np.array(image.header.get_zooms()[:3], np.float32)
    if labels.ndim != 3 or not np.issubdtype(labels.dtype, np.integer):
        raise BadInput(f"'{file}' is no label map: expected whole numbers in three dimensions.")
    tissues = _tissues(file, labels, dict(tissue_of), spacing)
    return _anatomy(file, tissues, spacing)


def _tissues(
    file: Path, labels: np.ndarray, tissue_of: Mapping[int, str], spacing: np.ndarray
) -> np.ndarray:
    """The tissue of each voxel, and air around them."""
    numbers = [int(number) for number in np.unique(labels)]
    unknown = [number for number in numbers if number not in tissue_of]
    if unknown:
        shown = ", ".join(map(str, unknown[:5]))
        raise BadInput(
            f"'{file}' has numbers that stand for no known tissue ({shown}); name them in a table "
            f"'{TABLE}' beside it, with the columns 'label' and 'tissue'."
        )
    codes = {**CODES, _SOFT_TISSUE: CODES["muscle"]}
    lookup, soft = np.zeros(max(numbers) + 1, np.uint8), np.zeros(max(numbers) + 1, bool)
    for number in numbers:
        lookup[number] = codes[tissue_of[number]]
        soft[number] = tissue_of[number] == _SOFT_TISSUE
    tissues = np.ascontiguousarray(np.pad(lookup[labels], 1))
    # Fat lies below the skin and behind the eyes.
    is_soft = np.pad(soft[labels], 1)
    near_skin = _within(tissues == CODES["skin"], _SCALP, spacing)
    near_eye = _within(tissues == CODES["eye"], _ORBIT, spacing)
    tissues[is_soft & (near_skin | near_eye)] = CODES["fat"]
    return tissues


def _anatomy(file: Path, tissues: np.ndarray, spacing: np.ndarray) -> Anatomy:
    brain = np.isin(tissues, BRAIN)
    if brain.sum() * float(np.prod(spacing)) < _MIN_BRAIN:
        raise BadInput(
            f"'{file.name}' shows less than {_MIN_BRAIN // 1000} ml of brain; label maps of whole "
            "heads are expected."
        )
    extents = [np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    center = np.array([(extent[0] + extent[-1]) / 2 for extent in extents], np.float32)
    fluid = tissues == CODES["csf"]
    chiasm = _chiasm(tissues, center)
    sites = {
        "white": tissues == CODES["white"],
        "gray": np.isin(tissues, [CODES["cortex"], CODES["striatum"], CODES["thalamus"]]),
        "surface": fluid & _within(tissues == CODES["bone"], _DURA, spacing),
    }
    found = {place: _sample(np.argwhere(where)) for place, where in sites.items()}
    found["sella"] = (chiasm + np.array(_SELLA, np.float32) / spacing)[None]
    return Anatomy(tissues, spacing, center, found)


def _chiasm(tissues: np.ndarray, center: np.ndarray) -> np.ndarray:
    """The center of the optic chiasm, or where it is expected, in voxels."""
    # The optic nerves have the same tissue and lie in front of it.
    found = np.argwhere(tissues == CODES["optic_nerve"])
    near = found[np.abs(found - center)[:, 0] < 8] if len(found) else found
    back = near[near[:, 1] < np.percentile(near[:, 1], 50) + 1] if len(near) else near
    expected = center + np.array([0, 15, -25], np.float32)
    return back.mean(axis=0).astype(np.float32) if len(back) else expected


def _sample(voxels: np.ndarray) -> np.ndarray:
    """At most so many voxels, evenly spread."""
    step = max(len(voxels) // _MAX_SITES, 1)
    return voxels[::step].astype(np.float32)


def _within(mask: np.ndarray, distance: float, spacing: np.ndarray) -> np.ndarray:
    """Where a mask lies within a distance in millimeters along the axes."""
    near: np.ndarray = mask.astype(np.uint8)
    for axis in range(3):
        # OpenCV dilates images along their rows.
        size = 2 * round(distance / float(spacing[axis])) + 1
        rows = np.ascontiguousarray(np.moveaxis(near, axis, 2))
        dilated = cv2.dilate(rows.reshape(-1, rows.shape[2]), np.ones((1, size), np.uint8))
        near = np.moveaxis(dilated.reshape(rows.shape), 2, axis)
    found: np.ndarray = near > 0
    return found
