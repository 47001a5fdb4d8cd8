"""From the canvas to an image: placement of the head, acquisition, and burned-in text."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import default_rng

from falx.phantom.canvas import smooth_noise, to_canvas
from falx.phantom.parameters import Acquisition, Placement

_MATRIX = 224
"""Image size at which the full bandwidth resolves single pixels."""

_TAPS = 12


def sampling_map(placement: Placement, rotation: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The canvas column and row that each pixel of an image shows: two float32 (size, size).

    Args:
        rotation: of the plane in degrees, added to that of the placement.
    """
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size - np.float32(0.5)
    # The aspect only shrinks the head, so that no tumor leaves the image.
    wide, high = min(1.0, placement.aspect), min(1.0, 1 / placement.aspect)
    x, y = np.meshgrid((axis - placement.shift_x) / wide, (axis - placement.shift_y) / high)
    if placement.mirrored:
        x = -x
    angle = math.radians(placement.rotation + rotation)
    sine, cosine = math.sin(angle), math.cos(angle)
    rotated = (cosine * x - sine * y, sine * x + cosine * y)
    warped = (
        part / placement.length + _displacement(placement, k, size)
        for k, part in enumerate(rotated)
    )
    columns, rows = (to_canvas(part) for part in warped)
    return columns, rows


def acquire(image: np.ndarray, acquisition: Acquisition, placement: Placement) -> np.ndarray:
    """The acquired image with burned-in text: uint8.

    Contrast, bias field, Rician noise (Gudbjartsson and Patz 1995), limited bandwidth (which blurs,
    with Gibbs ringing), and blur. Nothing here depends on the whole image, such as its maximum, so
    that a tumor changes pixels only where it is.
    """
    size = len(image)
    signal = cv2.pow(np.maximum(image, 0), acquisition.gamma)
    bias_field = cv2.exp(acquisition.bias_field * smooth_noise(acquisition.seed, 0, 4, size))
    signal *= bias_field * acquisition.gain
    noise = default_rng((acquisition.seed, 1)).standard_normal((2, size, size), np.float32)
    signal, imaginary = signal + acquisition.noise * noise[0], acquisition.noise * noise[1]
    bandwidth = acquisition.bandwidth * _MATRIX / size
    if bandwidth < 1:
        kernel = _low_pass(bandwidth)
        signal, imaginary = (
            cv2.sepFilter2D(part, -1, kernel, kernel) for part in (signal, imaginary)
        )
    measured = cv2.GaussianBlur(cv2.magnitude(signal, imaginary), (0, 0), acquisition.blur * size)
    return _burn_in(np.rint(255 * measured.clip(0, 1)).astype(np.uint8), placement)


def _displacement(placement: Placement, axis: int, size: int) -> np.ndarray:
    """The elastic displacement along an axis, in half-lengths of the brain."""
    coarse, fine = (smooth_noise(placement.seed, 2 * axis + k, (6, 20)[k], size) for k in (0, 1))
    displacement: np.ndarray = placement.warp * (coarse + 0.25 * fine)
    return displacement


def _low_pass(bandwidth: float) -> np.ndarray:
    """A windowed-sinc low-pass kernel; the bandwidth is a fraction of the Nyquist frequency."""
    n = np.arange(-_TAPS, _TAPS + 1)
    kernel = np.sinc(bandwidth * n) * np.cos(0.5 * np.pi * n / (_TAPS + 1))
    return (kernel / kernel.sum()).astype(np.float32)


def _burn_in(pixels: np.ndarray, placement: Placement) -> np.ndarray:
    """The image with text, and borders along its sides."""
    size, font = len(pixels), cv2.FONT_HERSHEY_SIMPLEX
    for text in placement.texts:
        origin, scale = (round(text.x * size), round(text.y * size)), text.height * size / 22
        cv2.putText(pixels, text.text, origin, font, scale, round(255 * text.level), 1, cv2.LINE_AA)
    top, right, bottom, left = (round(width * size) for width in placement.frame)
    inner = pixels[top : size - bottom, left : size - right]
    level = round(255 * placement.frame_level)
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=level)
