"""A small label map of a head, made of ellipsoids, with FreeSurfer's numbers."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE, SPACING = (88, 108, 100), 2.0


def write_head(file: Path, *, renumbered: dict[int, int] | None = None) -> Path:
    """Skin, fat, bone, fluid, cortex, white matter, ventricles, thalamus, chiasm and eyes."""
    x, y, z = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in SHAPE), indexing="ij")

    def ellipsoid(*radii: float, at: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
        parts = ((x - at[0]) / radii[0], (y - at[1]) / radii[1], (z - at[2]) / radii[2])
        return sum(part**2 for part in parts) < 1

    labels = np.zeros(SHAPE, np.uint16)
    for number, radii in (
        (511, (42, 52, 48)), (507, (41, 51, 47)), (515, (38, 48, 44)), (24, (35, 45, 41)),
        (3, (33, 43, 39)), (2, (30, 40, 36)),
    ):  # fmt: skip
        labels[ellipsoid(*radii)] = number
    for side in (-1, 1):
        labels[ellipsoid(3, 12, 5, at=(6 * side, 0, 8))] = 4
        labels[ellipsoid(5, 7, 5, at=(8 * side, -4, -2))] = 10
        labels[ellipsoid(6, 6, 6, at=(17 * side, 44, -14))] = 506
    labels[ellipsoid(3, 2, 2, at=(0, 8, -14))] = 85
    for old, new in (renumbered or {}).items():
        labels[labels == old] = new
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(labels, affine), file)
    return file
