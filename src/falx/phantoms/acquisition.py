"""The scanner's part of a phantom, and what is burned into its image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from falx.phantoms.noise import smooth_noise

_MATRIX = 224
"""Image size at which the full bandwidth resolves single pixels."""

_TAPS = 12

FRAMED = 0.12
"""Probability of borders."""


@dataclass(frozen=True)
class Acquisition:
    """The scanner's part: sequence, intensities and artifacts."""

    appearance: str
    gain: float
    gamma: float
    bias_field: float
    """Standard deviation of its logarithm."""
    noise: float
    """Standard deviation of real and imaginary part."""
    bandwidth: float
    """Fraction of the spatial frequencies that were measured, (0, 1]."""
    blur: float
    """Standard deviation of a Gaussian kernel, as a fraction of the image's size."""
    seed: int
    coil: float = 0.0
    """How much brighter the rim of the field of view is than its center, as a logarithm."""
    ghost: float = 0.0
    """Amplitude of the ghosts of motion, relative to the signal."""
    jpeg: int = 0
    """Quality of JPEG compression; 0 for none."""


@dataclass(frozen=True)
class Text:
    """Text burned into the image; lengths are fractions of its size."""

    text: str
    x: float
    y: float
    height: float
    level: float
    """Gray level, [0, 1]."""


@dataclass(frozen=True)
class Marks:
    """What is burned in around the head."""

    texts: tuple[Text, ...]
    frame: tuple[float, float, float, float]
    """Width of the border at top, right, bottom and left, as a fraction of the image's size."""
    frame_level: float


def draw_acquisition(rng: Generator, appearance: str, *, whole_head: bool) -> Acquisition:
    """Random parameters of a scanner; only those of whole heads have coils, ghosts and JPEG."""
    drawn = Acquisition(
        appearance=appearance,
        gain=rng.uniform(0.7, 1.5),
        gamma=rng.uniform(0.75, 1.35),
        bias_field=rng.uniform(0.02, 0.15),
        noise=float(np.exp(rng.uniform(np.log(0.003), np.log(0.05)))),
        bandwidth=min(rng.uniform(0.45, 1.4), 1.0),
        blur=float(np.exp(rng.uniform(np.log(0.0008), np.log(0.005)))),
        seed=int(rng.integers(2**32)),
    )
    if not whole_head:
        return drawn
    ghost, jpeg = rng.uniform(0.03, 0.15), int(rng.integers(35, 96))
    return replace(
        drawn,
        gain=drawn.gain * rng.uniform(0.7, 1.1),
        coil=max(rng.normal(0.0, 0.35), -0.3),
        ghost=ghost if rng.random() < 0.1 else 0.0,
        jpeg=jpeg if rng.random() < 0.3 else 0,
    )


def draw_marks(rng: Generator, *, has_frame: bool) -> Marks:
    """Random text along the edges, and borders along some sides, if at all."""
    return Marks(
        texts=tuple(_draw_text(rng) for _ in range(rng.integers(1, 4) * (rng.random() < 0.2))),
        frame=tuple(((rng.random(4) < 0.5) * rng.uniform(0.004, 0.02, 4) * has_frame).tolist()),
        frame_level=rng.uniform(0.3, 1.0),
    )


def measure(image: np.ndarray, acquisition: Acquisition, stream: int = 1) -> np.ndarray:
    """What a scanner measures of an image: float32, of the same size, at least 0.

    Contrast, bias field, Rician noise (Gudbjartsson and Patz 1995), ghosts, limited bandwidth
    (which blurs, with Gibbs ringing), and blur. Nothing here depends on the whole image, such as
    its maximum, so that a tumor changes pixels only where it is.

    Args:
        image: gray levels float32 (size, size).
        stream: of the noise; another for each slice of a volume.
    """
    size = len(image)
    signal = cv2.pow(np.maximum(image, 0), acquisition.gamma)
    logarithm = acquisition.bias_field * smooth_noise(acquisition.seed, 0, 4, size)
    if acquisition.coil:
        axis = np.linspace(-1, 1, size, dtype=np.float32) ** 2
        logarithm += np.float32(acquisition.coil) * (axis[:, None] + axis - np.float32(0.4))
    signal *= cv2.exp(logarithm) * acquisition.gain
    if acquisition.ghost:
        ghost = np.roll(signal, size // 3, axis=0) + np.roll(signal, -size // 3, axis=0)
        signal = (1 - acquisition.ghost) * signal + 0.5 * acquisition.ghost * ghost
    noise = default_rng((acquisition.seed, stream)).standard_normal((2, size, size), np.float32)
    signal, imaginary = signal + acquisition.noise * noise[0], acquisition.noise * noise[1]
    bandwidth = acquisition.bandwidth * _MATRIX / size
    if bandwidth < 1:
        kernel = _low_pass(bandwidth)
        signal, imaginary = (
            cv2.sepFilter2D(part, -1, kernel, kernel) for part in (signal, imaginary)
        )
    blurred: np.ndarray = cv2.GaussianBlur(
        cv2.magnitude(signal, imaginary), (0, 0), acquisition.blur * size
    )
    return blurred


def develop(measured: np.ndarray, marks: Marks, jpeg: int = 0) -> np.ndarray:
    """The image that is stored: uint8, with burned-in text and borders.

    Args:
        measured: as `measure` gives it; what exceeds 1 is white.
        jpeg: quality of JPEG compression; 0 for none.
    """
    pixels = _burn_in(np.rint(255 * measured.clip(0, 1)).astype(np.uint8), marks)
    if jpeg:
        encoded = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, jpeg))[1]
        decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        return decoded
    return pixels


def _draw_text(rng: Generator) -> Text:
    characters = rng.choice(list("ABDLRPSIVTH0123456789:. "), rng.integers(1, 7))
    # Along an edge, outside the head in most slices.
    x, y = rng.uniform(0.01, 0.9), float(rng.choice((rng.uniform(0.03, 0.1), 0.98)))
    is_horizontal_edge = bool(rng.random() < 0.7)
    return Text(
        text="".join(characters),
        x=x if is_horizontal_edge else 0.01,
        y=y if is_horizontal_edge else rng.uniform(0.1, 0.9),
        height=rng.uniform(0.012, 0.04),
        level=rng.uniform(0.5, 1.0),
    )


def _low_pass(bandwidth: float) -> np.ndarray:
    """A windowed-sinc low-pass kernel; the bandwidth is a fraction of the Nyquist frequency."""
    n = np.arange(-_TAPS, _TAPS + 1)
    kernel = np.sinc(bandwidth * n) * np.cos(0.5 * np.pi * n / (_TAPS + 1))
    return (kernel / kernel.sum()).astype(np.float32)


def _burn_in(pixels: np.ndarray, marks: Marks) -> np.ndarray:
    """The image with text, and borders along its sides."""
    size, font = len(pixels), cv2.FONT_HERSHEY_SIMPLEX
    for text in marks.texts:
        origin, scale = (round(text.x * size), round(text.y * size)), text.height * size / 22
        cv2.putText(pixels, text.text, origin, font, scale, round(255 * text.level), 1, cv2.LINE_AA)
    top, right, bottom, left = (round(width * size) for width in marks.frame)
    inner = pixels[top : size - bottom, left : size - right]
    level = round(255 * marks.frame_level)
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=level)
