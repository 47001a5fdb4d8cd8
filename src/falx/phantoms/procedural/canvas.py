"""The canvas that slices are painted on, in half-lengths of the brain."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from falx.phantoms.noise import smooth_noise

SIZE = 224
UNIT = np.float32(SIZE / 2.64)
"""Canvas pixels per half-length of the brain; the head is at most 1.3 times as long."""


@functools.cache
def grid() -> tuple[np.ndarray, np.ndarray]:
    """Coordinates x (to the right) and y (down) of the canvas: float32 (canvas, canvas)."""
    axis = (np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2) / UNIT
    x, y = np.meshgrid(axis, axis)
    return x, y


def to_canvas(position: np.ndarray) -> np.ndarray:
    """From half-lengths of the brain to pixels of the canvas, float32."""
    pixels: np.ndarray = (position * UNIT + (SIZE - 1) / 2).astype(np.float32)
    return pixels


def canvas_noise(seed: int, stream: int, cells: int) -> np.ndarray:
    """A smooth random field of about unit variance: float32 (canvas, canvas)."""
    return smooth_noise(seed, stream, cells, SIZE)


def inside(distance: np.ndarray, border: float | np.ndarray) -> np.ndarray:
    """The fraction of each canvas pixel that lies within a border, [0, 1]."""
    cover: np.ndarray = border - distance
    cover *= UNIT
    cover += np.float32(0.5)
    return np.clip(cover, 0, 1, out=cover)


def over(image: np.ndarray, level: float | np.ndarray, cover: np.ndarray) -> np.ndarray:
    """A gray level composited over the image, with the opacity `cover` in [0, 1]."""
    painted: np.ndarray = level - image
    painted *= cover
    painted += image
    return painted


def circles(disks: np.ndarray) -> np.ndarray:
    """Coverage [0, 1] by filled circles (n, 3) of x, y and radius, in half-lengths of the brain."""
    canvas = np.zeros((SIZE, SIZE), np.uint8)
    # OpenCV takes whole numbers; these are sixteenths of a pixel.
    centers = np.rint(16 * to_canvas(disks[:, :2])).astype(int).tolist()
    radii = np.rint(16 * UNIT * disks[:, 2]).astype(int).tolist()
    for center, radius in zip(centers, radii, strict=True):
        cv2.circle(canvas, center, radius, 255, cv2.FILLED, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / np.float32(255)
