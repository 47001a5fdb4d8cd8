"""Objects that tests in several folders need."""

from pathlib import Path

import cv2
import keras
import numpy as np

import small_scans
from falx.model.exportable import ExportableModel
from falx.model.mahalanobis import ood_feature_network
from falx.model.reference import MahalanobisReference
from falx.phantoms import make_phantom

_PLANES = {
    "axial": ([1, 0, 0, 0, 1, 0], (0, 0, 1)),
    "coronal": ([1, 0, 0, 0, 0, -1], (0, -1, 0)),
    "sagittal": ([0, 1, 0, 0, 0, -1], (-1, 0, 0)),
}
"""Direction cosines as shown, and the normal towards superior, anterior or right."""


def exportable_model(network: keras.Model, *, flip_tta: bool = False) -> ExportableModel:
    """A network with an identity reference: distances are norms of its features."""
    channels = ood_feature_network(network).output.shape[-1]
    reference = MahalanobisReference(
        np.zeros(channels, np.float32), np.eye(channels, dtype=np.float32)
    )
    return ExportableModel(network, reference, flip_tta)


def head_slices(n: int = 16, *, tumor: bool = False, size: int = 96, seed: int = 3) -> np.ndarray:
    """A head from below the skull base to the vertex, uint16 (n, size, size), up to 4080.

    One phantom, narrowed towards the vertex like half an ellipsoid (see falx.data.volumes).
    """
    pixels = make_phantom(seed, tumor=tumor, size=size).pixels
    slices = []
    for depth in np.linspace(1.6, 0.1, n):
        side = round(size * np.sqrt(1 - (1 - min(depth, 1.0)) ** 2))
        small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
        before = (size - side) // 2
        slices.append(np.pad(small, (before, size - side - before)))
    return np.stack(slices).astype(np.uint16) * 16


def write_nifti(file: Path, slices: np.ndarray, *, thickness: float = 8.0) -> Path:
    """Axial slices (n, height, width), from the lowest up, as a volume of pixels of 1 mm."""
    voxels = slices[:, ::-1, ::-1].transpose(2, 1, 0)
    return small_scans.write_nifti(file, voxels, (1, 1, thickness))


def write_series(
    folder: Path,
    slices: np.ndarray,
    *,
    plane: str = "axial",
    thickness: float = 8.0,
    first: int = 1,
    **elements: object,
) -> list[Path]:
    """Slices (n, height, width), as shown, as a DICOM series of pixels of 1 mm: a file for each.

    Args:
        first: InstanceNumber of the lowest.
        elements: of all files; SeriesInstanceUID and StudyInstanceUID are "1.2" and "1.1" without.
    """
    cosines, normal = _PLANES[plane]
    uids = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2"} | elements
    datasets = [
        small_scans.dicom(
            slice_,
            cosines,
            [thickness * row * axis for axis in normal],
            InstanceNumber=first + row,
            **uids,
        )
        for row, slice_ in enumerate(slices)
    ]
    names = [f"{uids['SeriesInstanceUID']}-{first + row:03d}.dcm" for row in range(len(slices))]
    small_scans.write(folder, datasets, names)
    return [folder / name for name in names]
