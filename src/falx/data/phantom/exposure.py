"""From the canvas to an image: where the head lies in it, the scanner, and what was printed on."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import default_rng

from falx.data.phantom.canvas import smooth, to_canvas
from falx.data.phantom.parameters import Look, Placement

_MATRIX = 224
"""Image size at which the whole bandwidth gives each pixel a value of its own."""

_TAPS = 12


def place(placement: Placement, turn: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of an image, the canvas pixel it shows: two float32 (size, size).

    Args:
        turn: degrees by which the plane is turned, besides the placement's own rotation.
    """
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size - np.float32(0.5)
    # An aspect only makes the head smaller, so that no tumor leaves the image.
    wide, high = min(1.0, placement.aspect), min(1.0, 1 / placement.aspect)
    x, y = np.meshgrid((axis - placement.shift_x) / wide, (axis - placement.shift_y) / high)
    if placement.mirrored:
        x = -x
    angle = math.radians(placement.rotation + turn)
    sine, cosine = math.sin(angle), math.cos(angle)
    turned = (cosine * x - sine * y, sine * x + cosine * y)
    bent = (part / placement.length + _bend(placement, k, size) for k, part in enumerate(turned))
    columns, rows = (to_canvas(part) for part in bent)
    return columns, rows


def expose(image: np.ndarray, look: Look, placement: Placement) -> np.ndarray:
    """What the scanner gives, and what was printed on it: uint8.

    Contrast, bias field, noise that is Rician (Gudbjartsson and Patz 1995), the end of the measured
    frequencies, which blurs and rings (Gibbs), and blur. Nothing here depends on the image as a
    whole, such as its maximum, so that a tumor changes pixels only where it is.
    """
    size = len(image)
    signal = cv2.pow(np.maximum(image, 0), look.gamma)
    signal *= cv2.exp(look.bias * smooth(look.seed, 0, 4, size)) * look.gain
    noise = default_rng((look.seed, 1)).standard_normal((2, size, size), np.float32)
    signal, imaginary = signal + look.noise * noise[0], look.noise * noise[1]
    bandwidth = look.bandwidth * _MATRIX / size
    if bandwidth < 1:
        kernel = _low_pass(bandwidth)
        signal, imaginary = (
            cv2.sepFilter2D(part, -1, kernel, kernel) for part in (signal, imaginary)
        )
    measured = cv2.GaussianBlur(cv2.magnitude(signal, imaginary), (0, 0), look.blur * size)
    return _print_on(np.rint(255 * measured.clip(0, 1)).astype(np.uint8), placement)


def _bend(placement: Placement, axis: int, size: int) -> np.ndarray:
    """The elastic displacement along an axis, in half-lengths of the brain."""
    coarse, fine = (smooth(placement.seed, 2 * axis + k, (6, 20)[k], size) for k in (0, 1))
    bend: np.ndarray = placement.warp * (coarse + 0.25 * fine)
    return bend


def _low_pass(bandwidth: float) -> np.ndarray:
    """The kernel that cuts frequencies off beyond a share of those an image can hold."""
    n = np.arange(-_TAPS, _TAPS + 1)
    kernel = np.sinc(bandwidth * n) * np.cos(0.5 * np.pi * n / (_TAPS + 1))
    return (kernel / kernel.sum()).astype(np.float32)


def _print_on(pixels: np.ndarray, placement: Placement) -> np.ndarray:
    """Letters, and borders along the sides."""
    size, font = len(pixels), cv2.FONT_HERSHEY_SIMPLEX
    for text in placement.texts:
        at, scale = (round(text.x * size), round(text.y * size)), text.height * size / 22
        cv2.putText(pixels, text.text, at, font, scale, round(255 * text.level), 1, cv2.LINE_AA)
    top, right, bottom, left = (round(width * size) for width in placement.frame)
    inner = pixels[top : size - bottom, left : size - right]
    level = round(255 * placement.frame_level)
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=level)
