"""Lesions of whole heads, in three dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import default_rng

from falx.phantoms.classes import KINDS
from falx.phantoms.heads.parameters import Lesion, Parameters
from falx.phantoms.heads.sampling import Points, Sampling, Window
from falx.phantoms.heads.tissues import CODES, INTRACRANIAL
from falx.phantoms.noise import CUBE, noise_cube

REACH = 2.4
"""Radii from its center beyond which a lesion changes nothing."""

_OUTLINE_EXPONENT, _TEXTURE_EXPONENT = 3.6, 2.0
_CELLS = 13
"""Voxels of the noise per radius."""
_EDGE = 0.7
"""Width of a lesion's border in millimeters."""
_WHITE = [CODES["white"], CODES["brainstem"]]


class Tissues(Protocol):
    """Looks up tissues, and their gray levels, at points."""

    def codes(self, points: Points) -> np.ndarray: ...

    def paint(self, points: Points) -> np.ndarray: ...


class LesionPainter:
    """Paints the lesions of a slice into its samples, tumors last."""

    def __init__(self, parameters: Parameters, sampling: Sampling, tissues: Tissues) -> None:
        self.levels = parameters.pathologies
        self.sampling = sampling
        self.tissues = tissues
        self.lesions = self._shown(parameters.lesions)
        self.tumors = self._shown(parameters.tumors)

    def add(
        self, layer: np.ndarray, cover: np.ndarray, jitter: tuple[float, float], depth: float
    ) -> None:
        """Paint them into a sample of the slice, and add where tumor is to `cover`.

        Args:
            layer, cover: float32 (rows, columns), changed in place.
            jitter, depth: of the sample, as `Sampling.points` takes them.
        """
        for lesion, window in (*self.lesions, *self.tumors):
            points = self.sampling.points(jitter, depth, window)
            shape = _shape(lesion, points, self.tissues)
            if shape is None:
                continue
            layer[window] = self._painted(lesion, shape, points, layer[window])
            if lesion.kind in KINDS:
                cover[window] += _tumor(lesion, shape)

    def _shown(self, lesions: tuple[Lesion, ...]) -> list[tuple[Lesion, Window]]:
        """The lesions that the slice may show, and where."""
        windows = [
            (lesion, self.sampling.window(lesion.center, REACH * lesion.radius * max(lesion.axes)))
            for lesion in lesions
        ]
        return [(lesion, window) for lesion, window in windows if window]

    def _painted(
        self, lesion: Lesion, shape: _Shape, points: Points, layer: np.ndarray
    ) -> np.ndarray:
        if lesion.mass_effect:
            layer = np.where(
                shape.inside, self.tissues.paint(_displaced(lesion, shape, points)), layer
            )
        for name, opacity in _layers(lesion, shape):
            level = self.levels[name] * (1 + np.float32(0.08) * shape.texture)
            layer = layer + (np.float32(lesion.contrast) * opacity) * (level - layer)
        return layer


@dataclass(frozen=True, eq=False)
class _Shape:
    """A lesion at the points of a window; all float32 or bool (rows, columns).

    Attributes:
        offsets: from its center along each axis, in its radii.
        distance: from its center, in its radii.
        outline: 1 on its border and smaller inside.
        texture: noise of about unit variance.
        inside: whether a point lies within the skull and the lesion's reach.
        white: whether it is white matter.
    """

    offsets: tuple[np.ndarray, ...]
    distance: np.ndarray
    outline: np.ndarray
    texture: np.ndarray
    inside: np.ndarray
    white: np.ndarray
    edge: float

    def within(self, border: float | np.ndarray) -> np.ndarray:
        """Opacity of what lies within a border, in radii."""
        opacity: np.ndarray = ((border - self.outline) * np.float32(self.edge) + 0.5).clip(0, 1)
        return opacity * self.inside

    def fingers(self, border: float) -> np.ndarray:
        """Opacity of edema within a border: it fades out, and spreads along white matter."""
        fading = ((border - self.outline) * 3).clip(0, 1) * self.inside
        spread: np.ndarray = fading * (np.float32(0.12) + np.float32(0.8) * self.white)
        return spread


def _shape(lesion: Lesion, points: Points, tissues: Tissues) -> _Shape | None:
    """None where a lesion reaches none of the points."""
    offsets = tuple(
        (part - np.float32(center)) / np.float32(lesion.radius * axis)
        for part, center, axis in zip(points, lesion.center, lesion.axes, strict=True)
    )
    distance = np.sqrt(offsets[0] ** 2 + offsets[1] ** 2 + offsets[2] ** 2)
    near = distance < REACH
    if not near.any():
        return None
    codes = tissues.codes(points)
    outline_noise, texture = _noise(lesion, offsets)
    rough = (np.float32(lesion.roughness) * outline_noise).clip(-0.6, 0.6)
    return _Shape(
        offsets,
        distance,
        distance * (1 + rough),
        texture,
        near & INTRACRANIAL[codes],
        np.isin(codes, _WHITE),
        lesion.radius / _EDGE,
    )


def _layers(lesion: Lesion, shape: _Shape) -> Iterator[tuple[str, np.ndarray]]:
    """The pathologies that a lesion consists of, and their opacity, from the outside inwards."""
    if lesion.edema:
        yield "edema", shape.fingers(lesion.edema)
    match lesion.kind:
        case "edema":
            yield "edema", shape.fingers(1.0)
        case "cavity":
            yield "rim", shape.within(1.0)
            yield "cavity", shape.within(0.92)
        case "hemorrhage":
            yield "rim", shape.within(1.12)
            yield "blood", shape.within(1.0)
        case "residual":
            yield "edema", np.float32(0.6) * shape.within(1.0)
            yield "ring", _patches(shape)
            yield "cavity", _cavity(lesion, shape)
        case "glioma" | "metastasis" if lesion.necrosis:
            yield "ring", shape.within(1.0)
            # The viable rim of a tumor is of uneven width.
            ragged = (lesion.necrosis + np.float32(0.12) * shape.texture).clip(0, 0.94)
            yield "necrosis", shape.within(ragged)
        case "metastasis":
            yield "ring", shape.within(1.0)
        case "spot":
            yield "gliosis", shape.within(1.0)
        case _:
            yield lesion.kind, shape.within(1.0)


def _patches(shape: _Shape) -> np.ndarray:
    """Tumor in patches."""
    patches: np.ndarray = shape.within(1.0) * (shape.texture > -0.5)
    return patches


def _cavity(lesion: Lesion, shape: _Shape) -> np.ndarray:
    """The cavity that a tumor left, whose wall is of uneven width."""
    return shape.within(0.85 * lesion.necrosis + np.float32(0.1) * shape.texture)


def _tumor(lesion: Lesion, shape: _Shape) -> np.ndarray:
    """What masks outline of a tumor: with its necrosis, without edema and cavity."""
    if lesion.kind == "residual":
        return _patches(shape) * (1 - _cavity(lesion, shape))
    return shape.within(1.0)


def _displaced(lesion: Lesion, shape: _Shape, points: Points) -> Points:
    """What the mass effect moved to the points; a cavity draws tissue in instead."""
    effect = np.float32(lesion.mass_effect) * (1 - shape.distance / REACH).clip(0, 1) ** 2
    pull = effect / np.maximum(shape.distance, np.float32(0.3)) * np.float32(lesion.radius)
    x, y, z = (
        part - pull * offset * np.float32(axis)
        for part, offset, axis in zip(points, shape.offsets, lesion.axes, strict=True)
    )
    return x, y, z


def _noise(lesion: Lesion, offsets: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Noise for the outline and the texture of a lesion, at offsets in its radii."""
    shift = default_rng(lesion.seed).integers(CUBE, size=3)
    x, y, z = (
        (offset * np.float32(_CELLS) + np.float32(start + CUBE)).astype(np.int32) & (CUBE - 1)
        for offset, start in zip(offsets, shift, strict=True)
    )
    index = (x * CUBE + y) * CUBE + z
    return noise_cube(_OUTLINE_EXPONENT)[index], noise_cube(_TEXTURE_EXPONENT)[index]
