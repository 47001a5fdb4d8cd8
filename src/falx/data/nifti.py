"""NIfTI volumes as axial slices."""

from __future__ import annotations

import gzip
import io
import logging
import math
import warnings
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from falx.data.raster import square_within
from falx.data.slices import Limits, Slice, stretched
from falx.errors import UnreadableImage

_HEADER = 544
"""Bytes that hold the header of either version."""

BRAIN_LEVEL = 0.1
BRAIN_SHARE = 0.05
"""A slice holds brain where at least this share of it is brighter than BRAIN_LEVEL."""


def read(path: Path, content: bytes, limits: Limits) -> list[Slice]:
    """The axial slices that hold brain, from the lowest up.

    Axes are brought to right, anterior, superior; a slice is shown as radiologists see it, front
    up and the patient's right at the left. The 0.5 to 99.5 percentiles of the whole volume become
    0 to 1. Of a series of volumes the first is read.

    Raises:
        UnreadableImage: damaged, cut off, two-dimensional, not grey, or beyond the limits.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.orientations import OrientationError
    from nibabel.spatialimages import HeaderDataError, HeaderTypeError
    from nibabel.wrapstruct import WrapStructError

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _slices(path, *_volume(path, content, limits, nibabel), limits)
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


def _volume(
    path: Path, content: bytes, limits: Limits, nibabel: ModuleType
) -> tuple[np.ndarray, tuple[float, float]]:
    """The first volume, in [0, 1] with axes right, anterior, superior, and its in-plane spacing."""
    stream: gzip.GzipFile | io.BytesIO = io.BytesIO(content)
    if content[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)
    head = stream.read(_HEADER)
    second = head[4:8] in (b"n+2\0", b"ni2\0")
    if not second and head[344:348] not in (b"n+1\0", b"ni1\0"):
        raise UnreadableImage(f"'{path}' is packed with gzip and holds no NIfTI volume; unpack it.")
    kind = nibabel.Nifti2Image if second else nibabel.Nifti1Image
    end = _checked_end(path, kind.header_class(head[: 540 if second else 348], check=False), limits)
    # The byte after the end makes gzip compare its checksum.
    image = kind.from_bytes(head + stream.read(max(end - len(head), 0) + 1))
    first = image.dataobj[(slice(None),) * 3 + (0,) * (len(image.shape) - 3)]
    volume = nibabel.as_closest_canonical(kind(np.asarray(first, np.float32), image.affine))
    right, anterior, _ = nibabel.affines.voxel_sizes(volume.affine)
    return stretched(np.asarray(volume.dataobj)), (float(anterior), float(right))


def _checked_end(path: Path, header: Any, limits: Limits) -> int:
    """Where the voxels end, known before any is unpacked."""
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if len(shape) < 3:
        raise UnreadableImage(
            f"'{path}' is a NIfTI file of {len(shape)} dimensions, not a volume; leave it out."
        )
    if dtype.kind not in "iuf":
        raise UnreadableImage(
            f"'{path}' is a NIfTI file of colors or complex numbers, not grey levels; leave it out."
        )
    limits.check(path, shape[0], shape[1], shape[2])
    end = int(header["vox_offset"]) + math.prod(int(size) for size in shape) * dtype.itemsize
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
        if (pixels > BRAIN_LEVEL).mean() >= BRAIN_SHARE:
            square = square_within(path, pixels, spacing, limits, volume.shape[2])
            slices.append(Slice(square, path, position, "nifti"))
    if not slices:
        raise UnreadableImage(f"'{path}' holds no slice with brain in it; leave it out.")
    return slices
