"""Whole volumes of drawn heads, with the masks of their tumors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from falx.phantoms.heads.anatomy import Anatomies, Anatomy
from falx.phantoms.heads.painting import paint_levels
from falx.phantoms.heads.parameters import Parameters, draw
from falx.phantoms.heads.pose import AXES, Frame
from falx.progress import Listener, Progress, silent

SCALE = 1000
"""Stored values are gray levels times this."""

_MARGIN = 6.0
"""Air beyond the head at both ends, in millimeters."""


@dataclass(frozen=True)
class PhantomVolume:
    """A volume of a drawn head.

    Attributes:
        values: int16 (columns, rows, slices), as NIfTI stores them.
        mask: of its tumors, bool, of the same shape.
        affine: (4, 4) from indices to millimeters (RAS).
        parameters: those of its slices but for the frame.
    """

    values: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    parameters: Parameters


def make_volume(
    rng: Generator,
    anatomies: Anatomies,
    *,
    tumor: bool,
    size: int = 256,
    listener: Listener = silent,
) -> PhantomVolume:
    """A random volume from the neck to the vertex, in one of the three planes.

    Raises:
        BadInput: a label map can't be used.
    """
    parameters = draw(rng, anatomies, tumor)
    anatomy = anatomies[parameters.pose.anatomy]
    frames = _frames(parameters, anatomy)
    values, masks = [], []
    for image, mask in paint_levels(parameters, anatomies, frames, size):
        values.append(np.rint(SCALE * image).clip(0, 2**15 - 1).astype(np.int16).T)
        masks.append(mask.T)
        listener(Progress("Slices", len(values), len(frames)))
    affine = _affine(parameters, frames, size)
    return PhantomVolume(np.stack(values, 2), np.stack(masks, 2), affine, parameters)


def _frames(parameters: Parameters, anatomy: Anatomy) -> list[Frame]:
    """Contiguous slabs through the whole head."""
    pose, frame = parameters.pose, parameters.frame
    normal = AXES[pose.plane][2]
    axis = int(np.abs(normal).argmax())
    scale = anatomy.spacing[axis] * pose.scale[axis] * normal[axis]
    ends = np.array([-anatomy.center[axis], anatomy.tissues.shape[axis] - anatomy.center[axis]])
    low, high = sorted((ends * scale).tolist())
    n = math.ceil((high - low + 2 * _MARGIN) / frame.thickness)
    first = (low + high) / 2 - (n - 1) / 2 * frame.thickness
    return [replace(frame, offset=first + k * frame.thickness) for k in range(n)]


def _affine(parameters: Parameters, frames: list[Frame], size: int) -> np.ndarray:
    """From columns, rows and slices to millimeters of a scanner, in which the head is tilted."""
    frame, plane = frames[0], AXES[parameters.pose.plane]
    pixel = frame.field_of_view / size
    right, down, normal = (np.array(row, float) for row in plane)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([right * pixel, down * pixel, normal * frame.thickness], axis=1)
    corner = -(size - 1) / 2 * pixel
    affine[:3, 3] = right * corner + down * corner + normal * frame.offset
    return affine
