"""DICOM: from a file to slices.

Stored values go through modality LUT and VOI LUT or window to gray levels; the orientation decides
how a slice is shown.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from falx.data import raster
from falx.data.dicom.header import Header, frame_of, header_of, text
from falx.data.dicom.levels import displayed, luma
from falx.data.dicom.pixels import (
    DECODER_DEPENDENCIES,
    checked_plugin,
    decoding,
    ensure_transfer_syntax,
    stored_values,
)
from falx.data.slices import Limits, Slice
from falx.errors import UnreadableImage

__all__ = ["DECODER_DEPENDENCIES", "read", "read_dataset"]

_NOT_SLICES = {
    "SEG": "a segmentation, not an image; name it as a mask of its images, or leave it out",
    "RTDOSE": "a radiotherapy dose, not an image; leave it out",
}


def read(path: Path, content: bytes, limits: Limits) -> list[Slice]:
    """The frames of a DICOM file.

    Gray levels follow DICOM PS3.3: modality LUT or rescale (C.11.1), then VOI LUT or window
    (C.11.2), else the 0.5 to 99.5 percentiles of the frame without padding (C.7.5.1.1.2);
    MONOCHROME1 is inverted (C.7.6.3.1.2). Frames of enhanced images use their own functional
    groups or the shared ones. Anisotropic pixels are resampled to square ones, and slices are
    turned as a radiologist sees them (see falx.data.geometry).

    Raises:
        UnreadableImage: damaged, truncated, no image, or beyond the limits.
    """
    with decoding(path):
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    return read_dataset(path, dataset, limits)


def read_dataset(path: Path, dataset: Dataset, limits: Limits) -> list[Slice]:
    """The frames of a DICOM dataset, as `read` gives them.

    Args:
        dataset: its file meta information is completed where it lacks the transfer syntax.

    Raises:
        UnreadableImage: damaged, truncated, no image, or beyond the limits.
    """
    with decoding(path):
        _check_image(path, dataset)
        header = header_of(dataset)
    limits.check(path, header.columns, header.rows, header.frames)
    with decoding(path):
        ensure_transfer_syntax(dataset)
    plugin = checked_plugin(path, dataset, header)
    with decoding(path):
        stored, bits = stored_values(dataset, header, plugin)
    return [_slice(path, dataset, header, stored[i], i, bits, limits) for i in range(len(stored))]


def is_segmentation(path: Path) -> bool:
    """Whether a DICOM file is a segmentation, by its header; False where that can't be read."""
    return text(_elements(path, "Modality"), "Modality").upper() == "SEG"


def series_uid(path: Path) -> str:
    """The SeriesInstanceUID of a DICOM file; "" where its header can't be read or has none."""
    return series_numbers(path)[2]


def series_numbers(path: Path) -> tuple[str, str, str]:
    """PatientID, StudyInstanceUID and SeriesInstanceUID; "" for what the header doesn't say."""
    names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
    header = _elements(path, *names)
    patient, study, series = (text(header, name) for name in names)
    return patient, study, series


def segmented_series(path: Path) -> str:
    """The SeriesInstanceUID of the images that a segmentation was drawn on; "" without one."""
    referenced = _elements(path, "ReferencedSeriesSequence").get("ReferencedSeriesSequence")
    return text(referenced[0], "SeriesInstanceUID") if referenced else ""


def _elements(path: Path, *names: str) -> Dataset:
    """Some elements of a header, without the others; empty where it can't be read."""
    try:
        with decoding(path):
            return pydicom.dcmread(
                path, force=True, stop_before_pixels=True, specific_tags=list(names)
            )
    except UnreadableImage:
        # It is named when the whole file is read.
        return Dataset()


def _check_image(path: Path, dataset: Dataset) -> None:
    """Reject what is no image by its modality, its SOP class, or for want of pixels."""
    reason = _NOT_SLICES.get(text(dataset, "Modality").upper())
    if reason:
        raise UnreadableImage(f"'{path}' is {reason}.")
    if "PixelData" not in dataset:
        kind = getattr(dataset.get("SOPClassUID"), "name", "") or "a DICOM file"
        raise UnreadableImage(f"'{path}' is a DICOM file without pixels ({kind}); leave it out.")


def _slice(
    path: Path,
    dataset: Dataset,
    header: Header,
    stored: np.ndarray,
    number: int,
    bits: int,
    limits: Limits,
) -> Slice:
    """One frame; `stored` are its stored values."""
    is_color = stored.ndim == 3
    levels = luma(stored, bits) if is_color else displayed(path, dataset, stored, number)
    if np.isnan(levels).any():
        raise UnreadableImage(
            f"'{path}' is a DICOM file whose gray levels are not numbers; export it anew."
        )
    with decoding(path):
        frame = frame_of(dataset, number)
    shown = np.ascontiguousarray(frame.orientation.shown(levels), np.float32)
    spacing = frame.orientation.shown_spacing(frame.spacing)
    square = raster.to_isotropic_within(path, shown, spacing, limits, header.frames)
    return Slice(
        pixels=np.ascontiguousarray(square, np.float32),
        path=path,
        index=number,
        frames=header.frames,
        format="dicom",
        color=is_color and bool((stored != stored[..., :1]).any()),
        patient=header.patient,
        study=header.study,
        series=header.series,
        uid=header.uid,
        instance=header.instance,
        plane=frame.orientation.plane,
        position=frame.position,
        spacing=min(spacing) if frame.millimeters else math.nan,
        acquisition=frame.acquisition,
    )
