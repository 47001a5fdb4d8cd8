"""Masks of tumors: outlines of the slices of an image, from raster files, NIfTI or DICOM SEG."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from falx.data.geometry import PLANES
from falx.data.nifti import Volume, is_label_volume, read_volume
from falx.data.raster import to_isotropic_within
from falx.data.read import is_dicom, is_nifti, read_content, read_slices
from falx.data.slices import Limits
from falx.errors import UnreadableImage

MOST_APART = 0.5
"""Distance in voxels, at most, between corners of a mask and of its image."""


@dataclass(frozen=True, eq=False)
class Mask:
    """The outlines of tumors in the slices of one image.

    Attributes:
        path: of the mask.
        frames: how many slices the mask has, if they are those of the image in the same order.
        spacing: distance between rows and between columns as shown, in mm; None where unknown.
        volume: of a NIfTI file.
    """

    path: Path
    frames: int | None
    spacing: tuple[float, float] | None
    volume: Volume | None
    _stored: Callable[[int, str], np.ndarray | None]
    _limits: Limits

    def covers(self, index: int, uid: str) -> bool:
        """Whether the mask says where a slice shows a tumor, or that it shows none."""
        return self._stored(index, uid) is not None

    def outline(
        self, index: int, uid: str, shape: tuple[int, int], frames: int
    ) -> np.ndarray | None:
        """Where a slice shows a tumor, bool (height, width); None where the mask does not cover it.

        Args:
            index: of the slice in its file.
            uid: its SOPInstanceUID.
            shape: of the slice.
            frames: how many its file holds.

        Raises:
            UnreadableImage: the mask is of another size than the image.
        """
        if self.frames not in (None, frames):
            raise UnreadableImage(
                f"The mask '{self.path}' has {self.frames} slices, and its image {frames}; mend or "
                "remove it."
            )
        stored = self._stored(index, uid)
        if stored is None:
            return None
        pixels = stored.astype(np.float32)
        if self.spacing:
            pixels = to_isotropic_within(self.path, pixels, self.spacing, self._limits, frames)
        if pixels.shape != shape:
            raise UnreadableImage(
                f"The mask '{self.path}' has slices of {pixels.shape[1]} x {pixels.shape[0]} "
                f"pixels, and its image of {shape[1]} x {shape[0]}; mend or remove it."
            )
        return pixels > 0.5

    def check_place(self, image: Path) -> None:
        """Compare where mask and image lie in the patient, if both are NIfTI files.

        Raises:
            UnreadableImage: voxels of the same indices are more than half a voxel apart.
        """
        if self.volume is None:
            return
        content = read_content(image, self._limits)
        if not is_nifti(content):
            return
        there = read_volume(image, content, self._limits)
        corners = np.array([*product(*((0, size - 1) for size in there.voxels.shape))], float)
        corners = np.c_[corners, np.ones(len(corners))].T
        apart = corners - np.linalg.solve(there.affine, self.volume.affine @ corners)
        if not np.abs(apart[:3]).max() <= MOST_APART:
            raise UnreadableImage(
                f"The mask '{self.path}' lies elsewhere in the patient than its image '{image}', "
                "by the geometry in their headers; export it on the grid of the image, or remove "
                "it."
            )


@dataclass(frozen=True, eq=False)
class Masks:
    """All masks of one image: a slice shows a tumor where any of them does."""

    parts: tuple[Mask, ...]

    def outline(
        self, index: int, uid: str, shape: tuple[int, int], frames: int
    ) -> np.ndarray | None:
        """Where a slice shows a tumor, as `Mask.outline`; None where no mask covers it."""
        found = [mask.outline(index, uid, shape, frames) for mask in self.parts]
        covering = [outline for outline in found if outline is not None]
        return np.logical_or.reduce(covering) if covering else None

    def check_place(self, image: Path) -> None:
        """Compare where masks and image lie in the patient, as `Mask.check_place`."""
        for mask in self.parts:
            mask.check_place(image)


def join_masks(names: Iterable[str]) -> str:
    """The masks of an image as one cell of a table, one a line; "" without any."""
    return "\n".join(names)


def read_masks(root: Path, cell: str, *, plane: str = "") -> Masks:
    """The masks that a cell of a table names below a root (see `read_mask`)."""
    return Masks(tuple(read_mask(root / name, plane=plane) for name in cell.split("\n")))


def read_mask(path: Path, *, plane: str = "", limits: Limits | None = None) -> Mask:
    """The mask of an image; all values above 0 are tumor, in a JPEG above half of white.

    Args:
        plane: of the image's slices, for a volume.

    Raises:
        UnreadableImage: it can't be read, or is no mask.
        MissingExtra: it is a DICOM segmentation, and highdicom is not installed.
    """
    limits = limits or Limits()
    content = read_content(path, limits)
    if is_dicom(content):
        return _dicom_mask(path, content, limits)
    if is_nifti(content):
        return _nifti_mask(path, content, plane, limits)
    slices = read_slices(path, limits=limits, content=content)
    # JPEG blurs the border of a mask and puts faint ripples around it.
    least = 0.5 if slices[0].format == "jpeg" else 0
    return Mask(
        path, len(slices), None, None, lambda index, _: slices[index].pixels > least, limits
    )


def _nifti_mask(path: Path, content: bytes, plane: str, limits: Limits) -> Mask:
    volume = read_volume(path, content, limits)
    values = volume.voxels
    if (values < 0).any() or (values.any() and not is_label_volume(values)):
        raise UnreadableImage(
            f"'{path}' holds gray levels, not labels, so it is no mask; name the mask of the image."
        )
    # The mask is cut as the image is.
    normal = PLANES.index(plane) if plane in PLANES else volume.normal

    def stored(index: int, _: str) -> np.ndarray:
        return volume.shown(normal, index) > 0

    return Mask(path, values.shape[normal], volume.spacing(normal), volume, stored, limits)


def _dicom_mask(path: Path, content: bytes, limits: Limits) -> Mask:
    from falx.extras import needs

    with needs("train", f"reading the segmentation '{path}'"):
        from falx.data.dicom.segmentation import read_segmentation

    segmentation = read_segmentation(path, content)
    outlines = segmentation.of
    return Mask(path, None, segmentation.spacing, None, lambda _, uid: outlines(uid), limits)
