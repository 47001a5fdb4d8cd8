"""From parameters to slices and volumes of whole heads.

A slab is sampled at several depths and offsets within its pixels: each sample has the tissue of the
nearest voxel, and their mean shows partial volume.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.random import default_rng

from falx.phantoms.acquisition import develop, measure
from falx.phantoms.heads.anatomy import Anatomies, Anatomy
from falx.phantoms.heads.lesions import LesionPainter
from falx.phantoms.heads.parameters import Parameters
from falx.phantoms.heads.pose import Frame
from falx.phantoms.heads.sampling import Points, sample
from falx.phantoms.heads.tissues import CODES, INTRACRANIAL, TEXTURE
from falx.phantoms.noise import CUBE, noise_cube, noise_quantile

_TEXTURE_EXPONENT, _VESSEL_EXPONENT = 1.0, 2.0
_MIN_SAMPLES, _MAX_SAMPLES = 4, 9
_STEP = 0.8
"""Distance between the depths of samples in millimeters."""
_EVEN = (0.7548776662, 0.5698402910)
"""Offsets that fill a pixel evenly (Roberts, the R2 sequence)."""


def paint(parameters: Parameters, anatomies: Anatomies, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A slice as it is stored, and the mask of its tumors: uint8 and bool (size, size)."""
    acquisition = parameters.acquisition
    image, mask = _slab(parameters, anatomies[parameters.pose.anatomy], parameters.frame, size)
    measured = measure(image, acquisition)
    return develop(measured, parameters.marks, acquisition.jpeg), mask


def paint_levels(
    parameters: Parameters, anatomies: Anatomies, frames: list[Frame], size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The slices of a volume as they are measured, and their masks: float32 and bool."""
    anatomy = anatomies[parameters.pose.anatomy]
    for index, frame in enumerate(frames):
        image, mask = _slab(parameters, anatomy, frame, size)
        yield measure(image, parameters.acquisition, 1 + index), mask


def _slab(
    parameters: Parameters, anatomy: Anatomy, frame: Frame, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gray levels float32, and where tumor is at least half of a pixel."""
    folded = round(frame.wrap * size)
    rows = size + 2 * folded
    sampling = sample(parameters.pose, frame, rows, size)
    image, cover = (np.zeros((rows, size), np.float32) for _ in range(2))
    tissues = _Tissues(parameters, anatomy)
    lesions = LesionPainter(parameters, sampling, tissues)
    n = min(max(math.ceil(frame.thickness / _STEP), _MIN_SAMPLES), _MAX_SAMPLES)
    whole = (slice(0, rows), slice(0, size))
    for k in range(n):
        jitter = (k * _EVEN[0] % 1 - 0.5, k * _EVEN[1] % 1 - 0.5)
        depth = ((k + 0.5) / n - 0.5) * frame.thickness
        layer = tissues.paint(sampling.points(jitter, depth, whole))
        lesions.add(layer, cover, jitter, depth)
        image += layer
    image /= n
    cover /= n
    if folded:
        inner = image[folded:-folded].copy()
        inner[-folded:] += image[:folded]
        inner[:folded] += image[-folded:]
        image, cover = inner, cover[folded:-folded]
    return image, cover >= 0.5


class _Tissues:
    """Looks up the gray levels of points in an anatomy."""

    def __init__(self, parameters: Parameters, anatomy: Anatomy) -> None:
        pose = parameters.pose
        levels = np.array(parameters.levels, np.float32)
        if pose.stripped:
            levels = np.where(INTRACRANIAL, levels, np.float32(0))
        self.levels = levels
        self.anatomy = anatomy
        self.flat = anatomy.tissues.ravel()
        self.texture = noise_cube(_TEXTURE_EXPONENT)
        self.vessels = noise_cube(_VESSEL_EXPONENT)
        self.deviation = TEXTURE * levels
        self.shift = default_rng(pose.seed).integers(CUBE, size=3, dtype=np.int32)
        # What lies in a tissue where the noise exceeds a quantile.
        self.inclusions = [
            (CODES[tissue], CODES[inclusion], noise_quantile(_VESSEL_EXPONENT, fraction))
            for tissue, inclusion, fraction in (
                ("ventricle", "choroid", pose.choroid),
                ("csf", "vein", pose.vessels),
                ("muscle", "fat", pose.streaks),
            )
        ]

    def codes(self, points: Points) -> np.ndarray:
        """The tissue of points in millimeters from the center of the brain: uint8."""
        return self.flat[self._voxels(points)[0]]

    def paint(self, points: Points) -> np.ndarray:
        """The gray levels of points in millimeters from the center of the brain: float32."""
        index, cube = self._voxels(points)
        codes = self.flat[index]
        noise = self.vessels[cube]
        for tissue, inclusion, threshold in self.inclusions:
            codes[(codes == tissue) & (noise > threshold)] = inclusion
        painted: np.ndarray = self.levels[codes] + self.deviation[codes] * self.texture[cube]
        return painted

    def _voxels(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Flat indices of the nearest voxels, and of the noise there."""
        anatomy = self.anatomy
        x, y, z = (
            (part / np.float32(spacing) + np.float32(center + 0.5)).clip(0, n - 1).astype(np.int32)
            for part, spacing, center, n in zip(
                points, anatomy.spacing, anatomy.center, anatomy.tissues.shape, strict=True
            )
        )
        _, rows, columns = anatomy.tissues.shape
        i, j, k = (
            (voxel + start) & (CUBE - 1) for voxel, start in zip((x, y, z), self.shift, strict=True)
        )
        return (x * rows + y) * columns + z, (i * CUBE + j) * CUBE + k
