"""How a head lies in the scanner, and where its slices lie in the anatomy at rest.

Positions in an image are millimeters to the right, down, and along the normal from the middle of
the brain; positions in the anatomy are millimeters (RAS) from the center of the brain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import default_rng

AXES = {
    "axial": ((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "coronal": ((-1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, -1, 0), (0, 0, -1), (1, 0, 0)),
}
"""What lies right, down, and along the normal of an image, as a radiologist sees it (RAS)."""

_SHORTEST, _LONGEST = 50.0, 200.0
"""Waves of the elastic displacement in millimeters."""
_WAVES = 24


@dataclass(frozen=True)
class Pose:
    """How the head lies in the scanner, and how it differs from the anatomy at rest."""

    anatomy: int
    plane: str
    """axial, coronal or sagittal"""
    tilt: tuple[float, float, float]
    """Rotations about the axes of the image (right, down, into it), in degrees."""
    scale: tuple[float, float, float]
    """Size along the patient's axes over that of the anatomy."""
    mirrored: bool
    warp: float
    """Standard deviation of the elastic displacement, in millimeters."""
    stripped: bool
    """Whether all but the brain was removed."""
    choroid: float
    """Fraction of the ventricles that choroid plexus fills."""
    vessels: float
    """Fraction of the fluid around the brain that small vessels fill."""
    streaks: float
    """Fraction of the muscle that fat fills."""
    seed: int


@dataclass(frozen=True)
class Frame:
    """The slab that a slice shows; lengths are in millimeters."""

    offset: float
    """Of its middle from the center of the brain, along the normal (up, back or left)."""
    thickness: float
    field_of_view: float
    """Side of the image."""
    shift: tuple[float, float]
    """Of the head, to the right and down."""
    wrap: float
    """Fraction of the field of view beyond its upper and lower edges that folds back."""


def to_anatomy(pose: Pose) -> np.ndarray:
    """The matrix (3, 3) from positions in the image to the anatomy, but for the displacement."""
    right, down, normal = (np.array(row, float) for row in AXES[pose.plane])
    if pose.mirrored:
        right = right * (-1, 1, 1)
    image = np.stack([right, down, normal], axis=1)
    turn = cv2.Rodrigues(image @ np.radians(pose.tilt))[0]
    matrix: np.ndarray = np.diag(1 / np.array(pose.scale)) @ turn @ image
    return matrix


def displacement(pose: Pose, points: np.ndarray) -> np.ndarray:
    """The elastic displacement in millimeters (3, ...) at points (3, ...) of the anatomy.

    It is added to what `to_anatomy` gives.
    """
    moved: np.ndarray = pose.warp * _waves(pose.seed, points)
    return moved


def locate(pose: Pose, point: Sequence[float]) -> np.ndarray:
    """The position (3,) in the image of a point of the anatomy."""
    at_rest = np.array(point, float)
    moved = at_rest
    # The displacement varies slowly, so that few steps find the point that is moved here.
    for _ in range(3):
        moved = at_rest - displacement(pose, moved[:, None])[:, 0]
    position: np.ndarray = np.linalg.solve(to_anatomy(pose), moved)
    return position


def _waves(seed: int, points: np.ndarray) -> np.ndarray:
    """A smooth random field of unit variance, the sum of plane waves: (3, ...)."""
    rng = default_rng((seed, 0))
    directions = rng.standard_normal((_WAVES, 3))
    lengths = np.exp(rng.uniform(math.log(_SHORTEST), math.log(_LONGEST), _WAVES))
    directions *= (2 * np.pi / lengths / np.linalg.norm(directions, axis=1))[:, None]
    phases = rng.uniform(0, 2 * np.pi, (3, _WAVES))
    angles = np.tensordot(directions, points, 1)
    phased = angles + phases.reshape(3, _WAVES, *[1] * (points.ndim - 1))
    return np.sqrt(2 / _WAVES) * np.sin(phased).sum(axis=1)
