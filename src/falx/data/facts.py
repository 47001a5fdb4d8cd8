"""Facts of a slice that need no network: size, gray levels, shape of the head, looks.

They are the columns of a catalog that describe pixels; audit and grouping use nothing else, so a
slice is decoded once.
"""

from __future__ import annotations

import math
from dataclasses import asdict, astuple, dataclass
from typing import Any

import cv2
import numpy as np

from falx.data.alignment import encode_thumbnail
from falx.data.keypoints import find_keypoints
from falx.data.read import Slice
from falx.data.suitability import why_unusable
from falx.image.crop import Box, background_level, box_around, head_extent, head_mask

VERSION = 6
"""To be raised when a fact is named or computed differently, so that no old cache is used."""

SURROUNDINGS_SIZE = 16
RINGS = 4


@dataclass(frozen=True)
class Facts:
    """Facts of a slice; gray levels are in [0, 1]."""

    index: int = 0
    frames: int = 0
    format: str = ""
    color: bool = False
    patient: str = ""
    study: str = ""
    series: str = ""
    uid: str = ""
    instance: int = 0
    description: str = ""
    contrast: bool = False
    plane: str = ""
    position: float = math.nan
    spacing: float = math.nan
    height: int = 0
    width: int = 0
    mean: float = 0.0
    standard_deviation: float = 0.0
    """Of the gray levels."""
    border: float = 0.0
    """Median gray of the outermost rim."""
    thumbnail: str = ""
    """See falx.data.alignment.encode_thumbnail."""
    keypoints: str = ""
    """See falx.data.keypoints.Keypoints.encode."""
    head: tuple[int, ...] = ()
    """The head's box: top, left, bottom, right."""
    extent: tuple[int, ...] = ()
    """The same with all dim scalp (see falx.image.crop.head_extent); empty where none is found."""
    head_area: float = 0.0
    """Fraction of the slice inside that extent that is head."""
    head_aspect: float = 0.0
    """Logarithm of the head's width over its height."""
    head_fill: float = 0.0
    """Fraction of the head's box that is head."""
    symmetry: float = 0.0
    """Correlation of the head with its mirror image, [-1, 1]."""
    rings: tuple[float, ...] = ()
    """Mean standardized gray in four concentric rings of the head's box, from the center out."""
    surroundings: tuple[int, ...] = ()
    """The slice without the head's box, 16 x 16 gray levels 0 to 255, row by row."""
    further_volumes: int = 0
    """Volumes of its file that are not read."""
    problem: str = ""
    """Why the slice can't be used, or an empty string."""

    def row(self) -> dict[str, Any]:
        return asdict(self)


def measure(slice_: Slice) -> Facts:
    """The facts of a slice."""
    pixels = slice_.pixels
    mask, border, found = head_mask(pixels), background_level(pixels), head_extent(pixels)
    box = box_around(mask)
    height, width = pixels.shape
    head = _standardized(cv2.resize(box.of(pixels), (64, 64), interpolation=cv2.INTER_AREA))
    return Facts(
        index=slice_.index,
        frames=slice_.frames,
        format=slice_.format,
        color=slice_.color,
        patient=slice_.patient,
        study=slice_.study,
        series=slice_.series,
        uid=slice_.uid,
        instance=slice_.instance or 0,
        description=slice_.acquisition.description,
        contrast=slice_.acquisition.contrast,
        plane=slice_.plane,
        position=slice_.position,
        spacing=slice_.spacing,
        height=height,
        width=width,
        mean=float(pixels.mean()),
        standard_deviation=float(pixels.std()),
        border=border,
        thumbnail=encode_thumbnail(pixels),
        keypoints=find_keypoints(pixels).encode(),
        head=astuple(box),
        extent=astuple(found[0]) if found else (),
        head_area=found[1] if found else 0.0,
        head_aspect=float(np.log(box.width / box.height)),
        head_fill=float(box.of(mask).mean()),
        symmetry=float((head * head[:, ::-1]).mean()),
        rings=_rings(head),
        surroundings=_surroundings(pixels, box, border),
        further_volumes=slice_.further_volumes,
        problem=why_unusable(slice_),
    )


def _standardized(image: np.ndarray) -> np.ndarray:
    return (image - image.mean()) / max(float(image.std()), 1e-6)


def _rings(head: np.ndarray) -> tuple[float, ...]:
    axis = (np.arange(head.shape[0]) + 0.5) / head.shape[0] * 2 - 1
    radius = np.hypot(axis[:, None], axis[None, :])
    ring = np.minimum((radius * RINGS).astype(int), RINGS)
    return tuple(float(head[ring == number].mean()) for number in range(RINGS))


def _surroundings(pixels: np.ndarray, box: Box, border: float) -> tuple[int, ...]:
    without_head = pixels.copy()
    box.of(without_head)[:] = border
    size = (SURROUNDINGS_SIZE, SURROUNDINGS_SIZE)
    small = cv2.resize(without_head, size, interpolation=cv2.INTER_AREA)
    return tuple(int(level) for level in np.rint(small * 255).ravel())
