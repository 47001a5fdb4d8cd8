"""NIfTI: from a volume to slices."""

from __future__ import annotations

import gzip
import io
import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.data.geometry import orientation_of
from falx.data.raster import to_isotropic_within
from falx.data.slices import Limits, Plane, Slice, gray_limits, normalize
from falx.errors import UnreadableImage
from falx.quiet import ignored_warnings, quiet

_MILLIMETERS = {1: 1000.0, 3: 0.001}
"""In a meter and in a micrometer, by their codes; any other code is taken as millimeters."""

_HEADER_BYTES = 544
"""Enough for the header of either version."""

BRAIN_LEVEL = 0.1
MIN_BRAIN_FRACTION = 0.05
"""A slice holds brain where at least this fraction of it is brighter than BRAIN_LEVEL."""

LABELS_EQUAL, MOST_LABELS = 0.7, 200
"""Least fraction of voxels that equal their neighbor, and most values, of a label volume."""

THICK = 2.0
"""How many times as long as its other sides a voxel is across the slices of a thick acquisition."""


def read(path: Path, content: bytes, limits: Limits) -> list[Slice]:
    """The slices of a volume that hold brain, from inferior, posterior or left on.

    They lie in the plane of acquisition where voxels are at least `THICK` times as long across it,
    else they are as near to axial as the axes of the volume allow. The 0.5 to 99.5 percentiles of
    the whole volume become 0 to 1. Of a series of volumes, the first is read, and the others are
    counted in each slice. Slices without brain are the background around it, which no one is told
    of.

    Raises:
        UnreadableImage: damaged, truncated, two-dimensional, not gray, labels instead of gray
            levels, or beyond the limits.
    """
    volume = read_volume(path, content, limits)
    if is_label_volume(volume.voxels):
        raise UnreadableImage(
            f"'{path}' holds labels, not gray levels; name it as a mask of its image, or leave it "
            "out."
        )
    with np.errstate(all="ignore"):
        return _slices(path, volume, limits)


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels with axes to the right, anterior and superior.

    Attributes:
        voxels: of any type of numbers, (x, y, z).
        size: of a voxel along each axis, in mm.
        affine: from indices of voxels to mm to the right, anterior and superior, (4, 4).
        is_oriented: whether the file says how the voxels lie in the body; without it, the affine is
            that which nibabel assumes.
        further: how many other volumes the file holds.
    """

    voxels: np.ndarray
    size: tuple[float, float, float]
    affine: np.ndarray
    is_oriented: bool = True
    further: int = 0

    @property
    def normal(self) -> int:
        """The axis across which slices lie: that of the only voxel, of thick slices, or z."""
        single = [axis for axis in range(3) if self.voxels.shape[axis] == 1]
        if len(single) == 1:
            return single[0]
        longest = int(np.argmax(self.size))
        rest = max(size for axis, size in enumerate(self.size) if axis != longest)
        return longest if self.size[longest] >= THICK * rest else 2

    def plane(self, normal: int) -> Plane:
        """The plane of slices across an axis."""
        if not self.is_oriented:
            return ""
        directions = self.affine[:3, :3] / self.size
        row, column = (directions[:, axis].tolist() for axis in range(3) if axis != normal)
        return orientation_of(row, column).plane

    def shown(self, normal: int, position: int) -> np.ndarray:
        """A slice across an axis, as a radiologist sees it: (height, width)."""
        # The patient's right, the front and above come first on the screen, and last in x, y and z.
        return _plane(self.voxels, normal, position)[::-1, ::-1].T

    def spacing(self, normal: int) -> tuple[float, float]:
        """Distance between rows and between columns of such a slice, in mm."""
        across, down = (size for axis, size in enumerate(self.size) if axis != normal)
        return down, across


def read_volume(path: Path, content: bytes, limits: Limits) -> Volume:
    """The first volume of a NIfTI file.

    Raises:
        UnreadableImage: damaged, truncated, two-dimensional, not gray, or beyond the limits.
    """
    with np.errstate(all="ignore"), quiet(logging.CRITICAL, "nibabel.global"):
        return _first_volume(path, content, limits)


def is_label_volume(voxels: np.ndarray) -> bool:
    """Whether a volume holds labels instead of gray levels.

    Its values are few whole numbers, and most voxels equal their neighbor. Noise keeps that below
    two in three in images, even of few gray levels or enlarged twofold, while labels do so in three
    of four at 2 mm, and in nine of ten at 1 mm.
    """
    middle = [_plane(voxels, axis, size // 2) for axis, size in enumerate(voxels.shape)]
    if not any(((plane[:, :-1] != 0) & (plane[:, 1:] != 0)).any() for plane in middle):
        # A small mask may miss the middle, and so does a volume that shows nothing at all.
        middle = _fullest_planes(voxels)
    equal, pairs = 0, 0
    values: set[float] = set()
    for plane in middle:
        if not np.isfinite(plane).all() or (plane != np.rint(plane)).any():
            return False
        values.update(np.unique(plane).tolist())
        left, right = plane[:, :-1], plane[:, 1:]
        inside = (left != 0) & (right != 0)
        equal += int((left == right)[inside].sum())
        pairs += int(inside.sum())
    return 1 < len(values) <= MOST_LABELS and equal >= LABELS_EQUAL * pairs


def _fullest_planes(voxels: np.ndarray) -> list[np.ndarray]:
    """The plane across each axis that holds most voxels other than 0."""
    planes = []
    for axis in range(voxels.ndim):
        others = tuple(other for other in range(voxels.ndim) if other != axis)
        fullest = int(np.count_nonzero(voxels, axis=others).argmax())
        planes.append(_plane(voxels, axis, fullest))
    return planes


def _plane(voxels: np.ndarray, axis: int, position: int) -> np.ndarray:
    """The plane at a position across an axis, as a view of the same memory."""
    plane: np.ndarray = voxels[(slice(None),) * axis + (position,)]
    return plane


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Around calls into nibabel and zlib, and only those.

    What they raise means a damaged file; anywhere else the same exception is a bug of falx.
    """
    from nibabel.filebasedimages import ImageFileError
    from nibabel.orientations import OrientationError
    from nibabel.spatialimages import HeaderDataError, HeaderTypeError
    from nibabel.wrapstruct import WrapStructError

    try:
        with ignored_warnings:
            yield
    except (
        ImageFileError,
        OrientationError,
        HeaderDataError,
        HeaderTypeError,
        WrapStructError,
        ArithmeticError,
        KeyError,
        ValueError,
        OSError,
        EOFError,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise UnreadableImage(
            f"'{path}' is a NIfTI file that can't be decoded ({reason}); export it anew."
        ) from error


def _first_volume(path: Path, content: bytes, limits: Limits) -> Volume:
    import nibabel
    from nibabel.affines import voxel_sizes

    stream: gzip.GzipFile | io.BytesIO = io.BytesIO(content)
    if content[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)
    with _decoding(path):
        head = stream.read(_HEADER_BYTES)
    is_version_2 = head[4:8] in (b"n+2\0", b"ni2\0")
    if not is_version_2 and head[344:348] not in (b"n+1\0", b"ni1\0"):
        raise UnreadableImage(f"'{path}' is packed with gzip and holds no NIfTI volume; unpack it.")
    image_class = nibabel.Nifti2Image if is_version_2 else nibabel.Nifti1Image
    with _decoding(path):
        header = image_class.header_class(head[: 540 if is_version_2 else 348], check=False)
        shape = tuple(int(size) for size in header.get_data_shape())
        dtype, start = header.get_data_dtype(), int(header["vox_offset"])
    end = _checked_end(path, shape, dtype, start, limits)
    with _decoding(path):
        # The byte after the end makes gzip compare its checksum.
        image = image_class.from_bytes(head + stream.read(max(end - len(head), 0) + 1))
        voxels = image.dataobj[(slice(None),) * 3 + (0,) * (len(image.shape) - 3)]
        # Integers stay as they are: a volume fills much of the memory that falx takes.
        kept = voxels if voxels.dtype.itemsize <= 2 else np.asarray(voxels, np.float32)
        volume = image_class(kept, image.affine)
        canonical = nibabel.as_closest_canonical(volume)
        unit = _MILLIMETERS.get(int(header["xyzt_units"]) & 7, 1.0)
        affine = np.diag([unit, unit, unit, 1.0]) @ canonical.affine
        right, anterior, superior = (float(size) for size in voxel_sizes(affine))
        return Volume(
            voxels=np.asarray(canonical.dataobj),
            size=(right, anterior, superior),
            affine=affine,
            is_oriented=bool(header["qform_code"] > 0 or header["sform_code"] > 0),
            further=math.prod(image.shape[3:]) - 1,
        )


def _checked_end(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, start: int, limits: Limits
) -> int:
    """Where the voxels end in the unpacked file, from the header alone.

    Args:
        start: where they begin.
    """
    if len(shape) < 3:
        raise UnreadableImage(
            f"'{path}' is a NIfTI file of {len(shape)} dimensions, not a volume; leave it out."
        )
    if dtype.kind not in "iuf":
        raise UnreadableImage(
            f"'{path}' is a NIfTI file of colors or complex numbers, not gray levels; leave it out."
        )
    limits.check(path, shape[0], shape[1], shape[2])
    end = start + math.prod(shape) * dtype.itemsize
    if not 0 < end <= limits.file_bytes:
        raise UnreadableImage(
            f"'{path}' unpacks to {end / 1e6:.0f} MB, more than the "
            f"{limits.file_bytes / 1e6:.0f} MB that falx reads; make it smaller."
        )
    return end


def _slices(path: Path, volume: Volume, limits: Limits) -> list[Slice]:
    slices, normal = [], volume.normal
    plane, spacing = volume.plane(normal), volume.spacing(normal)
    low, high = gray_limits(volume.voxels)
    count = volume.voxels.shape[normal]
    for position in range(count):
        pixels = np.ascontiguousarray(normalize(volume.shown(normal, position), low, high))
        if (pixels > BRAIN_LEVEL).mean() >= MIN_BRAIN_FRACTION:
            slices.append(
                Slice(
                    pixels=to_isotropic_within(path, pixels, spacing, limits, count),
                    path=path,
                    index=position,
                    frames=count,
                    format="nifti",
                    plane=plane,
                    position=position * volume.size[normal],
                    spacing=min(spacing),
                    further_volumes=volume.further,
                )
            )
    if not slices:
        raise UnreadableImage(f"'{path}' holds no slice with brain in it; leave it out.")
    return slices
