"""NIfTI volumes as axial slices."""

from __future__ import annotations

import gzip
import io
import logging
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from falx.data.raster import to_isotropic_within
from falx.data.slices import Limits, Slice, percentile_normalize
from falx.errors import UnreadableImage

_HEADER_BYTES = 544
"""Enough for the header of either version."""

BRAIN_LEVEL = 0.1
MIN_BRAIN_FRACTION = 0.05
"""A slice holds brain where at least this fraction of it is brighter than BRAIN_LEVEL."""


def read(path: Path, content: bytes, limits: Limits) -> list[Slice]:
    """The axial slices that hold brain, from inferior to superior.

    Axes are reoriented to right, anterior, superior; a slice is shown in radiological convention,
    anterior up and the patient's right at the left. The 0.5 to 99.5 percentiles of the whole volume
    become 0 to 1. Of a series of volumes, the first is read.

    Raises:
        UnreadableImage: damaged, truncated, two-dimensional, not gray, or beyond the limits.
    """
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    with np.errstate(all="ignore"):
        voxels, spacing = _first_volume(path, content, limits)
        return _slices(path, percentile_normalize(voxels), spacing, limits)


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
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


def _first_volume(
    path: Path, content: bytes, limits: Limits
) -> tuple[np.ndarray, tuple[float, float]]:
    """Voxels with axes right, anterior, superior; distance between rows and between columns."""
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
        volume = image_class(np.asarray(voxels, np.float32), image.affine)
        canonical = nibabel.as_closest_canonical(volume)
        right, anterior, _ = voxel_sizes(canonical.affine)
        return np.asarray(canonical.dataobj), (float(anterior), float(right))


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


def _slices(
    path: Path, volume: np.ndarray, spacing: tuple[float, float], limits: Limits
) -> list[Slice]:
    slices = []
    for position in range(volume.shape[2]):
        # x grows to the patient's right and y to the front; both run backwards on the screen.
        pixels = np.ascontiguousarray(volume[::-1, ::-1, position].T)
        if (pixels > BRAIN_LEVEL).mean() >= MIN_BRAIN_FRACTION:
            square = to_isotropic_within(path, pixels, spacing, limits, volume.shape[2])
            slices.append(Slice(square, path, position, "nifti"))
    if not slices:
        raise UnreadableImage(f"'{path}' holds no slice with brain in it; leave it out.")
    return slices
