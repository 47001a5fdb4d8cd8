"""Lesions painted into real slices without a tumor.

A network that sees lesions in drawn heads alone learns what is drawn. The same kinds
of lesion, implanted into slices of healthy people, have real surroundings, and their outline is
known to the pixel.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import Generator

from falx.phantoms.noise import CUBE, noise_cube

_REFERENCE = 256
"""Side of a view that lengths are given for, in pixels."""
_HEAD_LEVEL, _MARGIN = 18, 22
"""Least gray level of the head, and distance of a lesion's center from its border in pixels."""
_REACH = 2.2
_NOISE_SIDE = 2.5
"""Radii of a lesion that the noise cube spans in each direction."""


def implant(view: np.ndarray, rng: Generator, *, tumor: bool) -> tuple[np.ndarray, np.ndarray]:
    """A view with a tumor, or with lesions that are none: uint8 and the tumor's mask, bool.

    Without a place for it, the view stays as it is, and the mask is empty.

    Args:
        view: uint8 (size, size), cropped to the head.
    """
    size = len(view)
    pixels = view.astype(np.float32)
    centers = _places(pixels)
    mask = np.zeros(view.shape, bool)
    if not len(centers):
        return view, mask
    changed = pixels
    for _ in range(1 + (rng.random() < 0.2)):
        row, column = centers[rng.integers(len(centers))].tolist()
        radius = math.exp(rng.uniform(math.log(6), math.log(34))) * size / _REFERENCE
        lesion = _Lesion(pixels, row, column, radius, rng)
        changed = lesion.displaced(changed, rng.uniform(0, 0.4))
        changed, body = lesion.tumor(changed) if tumor else lesion.mimic(changed)
        mask |= tumor & (body > 0.5)
    # Painted pixels are as sharp as a scanner would show them.
    soft = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.4, 1.1) * size / _REFERENCE)
    result = np.where(np.abs(changed - pixels) > 1, soft, pixels)
    return np.rint(result).clip(0, 255).astype(np.uint8), mask


class _Lesion:
    """A lesion in a slice; lengths are pixels or its radii."""

    def __init__(
        self, pixels: np.ndarray, row: float, column: float, radius: float, rng: Generator
    ) -> None:
        self.rng = rng
        self.radius = radius
        grid = np.indices(pixels.shape).astype(np.float32)
        center = np.array([row, column], np.float32)
        self.y, self.x = (grid - center[:, None, None]) / np.float32(radius)
        angle, elongation = rng.uniform(0, math.pi), math.exp(rng.normal(0, 0.2))
        along = math.cos(angle) * self.x + math.sin(angle) * self.y
        across = math.cos(angle) * self.y - math.sin(angle) * self.x
        self.distance = np.hypot(along * elongation, across / elongation).astype(np.float32)
        rough = (rng.uniform(0.05, 0.45) * self._noise(3.6)).clip(-0.6, 0.6)
        self.outline = self.distance * (1 + rough)
        self.texture = self._noise(2.0)
        self.inside = cv2.GaussianBlur(pixels, (0, 0), 3) > _HEAD_LEVEL
        near = self.inside & (self.distance < 1.2)
        self.level = float(np.median(pixels[near])) if near.any() else 90.0
        self.contrast = rng.uniform(0.6, 1.0)

    def displaced(self, pixels: np.ndarray, mass_effect: float) -> np.ndarray:
        """The slice whose surroundings give way, by a fraction of the radius."""
        falling = (1 - self.distance / _REACH).clip(0, 1) ** 2
        pull = mass_effect * falling * self.radius / np.maximum(self.distance, 0.3)
        rows, columns = np.indices(pixels.shape).astype(np.float32)
        from_columns = (columns - pull * self.x).astype(np.float32)
        from_rows = (rows - pull * self.y).astype(np.float32)
        return cv2.remap(pixels, from_columns, from_rows, cv2.INTER_LINEAR)

    def tumor(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slice with a solid, a patchy or a ring-shaped tumor, and its opacity."""
        rng = self.rng
        pixels = self._with_edema(pixels)
        brighter = rng.random() < 0.75
        factor = rng.uniform(1.3, 2.3) if brighter else rng.uniform(0.45, 0.8)
        level = min(self.level * factor, 250)
        kind, body = rng.random(), self._within(1.0)
        if kind < 0.2:
            body = body * (self.texture > -0.4)
        pixels = self._over(pixels, level, body)
        if kind > 0.6:
            core = level * (rng.uniform(0.15, 0.5) if brighter else rng.uniform(1.6, 2.2))
            ragged = rng.uniform(0.4, 0.88) + np.float32(0.12) * self.texture
            pixels = self._over(pixels, core, self._within(ragged))
        return pixels, body

    def mimic(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slice with a cavity, a cyst, edema or gliosis, and its opacity."""
        rng = self.rng
        pixels = self._with_edema(pixels)
        if rng.random() < 0.5:
            body = self._within(1.0)
            return self._over(pixels, self.level * rng.uniform(0.15, 0.6), body), body
        body = 0.8 * self._within(1.0) * (0.4 + 0.6 * (self.texture > -0.3))
        return self._over(pixels, self._edema_level(), body), body

    def _with_edema(self, pixels: np.ndarray) -> np.ndarray:
        if self.rng.random() > 0.65:
            return pixels
        fading = ((self.rng.uniform(1.3, 2.4) - self.outline) * 3).clip(0, 1) * self.inside
        fingers = 0.8 * fading * (0.5 + 0.5 * (self.texture > -0.5))
        return self._over(pixels, self._edema_level(), fingers)

    def _edema_level(self) -> float:
        """Darker than the brain, as in T1, or brighter, as in T2."""
        rng = self.rng
        factor = rng.uniform(0.6, 0.9) if rng.random() < 0.6 else rng.uniform(1.15, 1.6)
        return self.level * factor

    def _over(self, pixels: np.ndarray, level: float, opacity: np.ndarray) -> np.ndarray:
        tinted = level * (1 + np.float32(0.08) * self.texture)
        painted: np.ndarray = pixels + self.contrast * opacity * (tinted - pixels)
        return painted.astype(np.float32)

    def _within(self, border: float | np.ndarray) -> np.ndarray:
        opacity: np.ndarray = ((border - self.outline) * self.radius / 1.4 + 0.5).clip(0, 1)
        return opacity * self.inside

    def _noise(self, exponent: float) -> np.ndarray:
        """A random plane of the noise cube, around the lesion."""
        cube = noise_cube(exponent).reshape(CUBE, CUBE, CUBE)
        plane = np.roll(
            cube[self.rng.integers(CUBE)], tuple(self.rng.integers(CUBE, size=2)), (0, 1)
        )
        scale = CUBE / 2 / _NOISE_SIDE
        columns: np.ndarray = (CUBE / 2 + self.x * scale).astype(np.float32)
        rows: np.ndarray = (CUBE / 2 + self.y * scale).astype(np.float32)
        return cv2.remap(plane, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _places(pixels: np.ndarray) -> np.ndarray:
    """Pixels well inside the head: rows and columns (n, 2)."""
    head = (cv2.GaussianBlur(pixels, (0, 0), 4) > _HEAD_LEVEL).astype(np.uint8)
    side = 2 * round(_MARGIN * len(pixels) / _REFERENCE) + 1
    padded = cv2.copyMakeBorder(head, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(
        padded, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.argwhere(eroded[1:-1, 1:-1] > 0)
