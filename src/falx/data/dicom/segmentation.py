"""DICOM segmentations as masks, by highdicom (Bridge et al., J. Digit. Imaging 35, 2022)."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from highdicom.seg import Segmentation

from falx.data.dicom.header import frame_of
from falx.data.dicom.pixels import decoding
from falx.data.geometry import Orientation
from falx.errors import UnreadableImage
from falx.quiet import quiet

_LOGGERS = ("highdicom.base", "highdicom.image", "highdicom.seg.sop")
"""What they log of a damaged file, falx says in one sentence."""


@dataclass(frozen=True, eq=False)
class SliceSegmentation:
    """A segmentation of single-frame images, by the SOPInstanceUID of its source.

    Attributes:
        spacing: between rows and between columns as shown, in mm; None where unknown.
    """

    path: Path
    spacing: tuple[float, float] | None
    _sources: frozenset[str]
    _orientation: Orientation
    _segmentation: Segmentation

    def of(self, uid: str) -> np.ndarray | None:
        """Where any segment is in an image, bool (height, width) as shown; None of another image.

        A source image without a frame holds no segment.
        """
        if uid not in self._sources:
            return None
        with decoding(self.path), quiet(logging.CRITICAL, *_LOGGERS):
            frames = self._segmentation.get_pixels_by_source_instance(
                [uid], ignore_spatial_locations=True, assert_missing_frames_are_empty=True
            )
        return self._orientation.shown(frames[0].any(axis=-1))


def read_segmentation(path: Path, content: bytes) -> SliceSegmentation:
    """A segmentation that names the images that it was drawn on.

    Raises:
        UnreadableImage: it is damaged, no segmentation, or names no images.
    """
    with decoding(path):
        dataset = pydicom.dcmread(io.BytesIO(content))
        is_segmentation = dataset.get("Modality") == "SEG"
    if not is_segmentation:
        raise UnreadableImage(f"'{path}' is no DICOM segmentation, so it is no mask; name a SEG.")
    with decoding(path), quiet(logging.CRITICAL, *_LOGGERS):
        segmentation = Segmentation.from_dataset(dataset, copy=False)
        sources = frozenset(str(uid) for _, _, uid in segmentation.get_source_image_uids())
        frame = frame_of(dataset, 0)
    if not sources:
        raise UnreadableImage(
            f"'{path}' does not name the images that it was drawn on; write it anew with them."
        )
    spacing = frame.orientation.shown_spacing(frame.spacing) if frame.millimeters else None
    return SliceSegmentation(path, spacing, sources, frame.orientation, segmentation)
