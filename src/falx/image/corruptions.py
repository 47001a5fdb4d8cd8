"""Corruptions of a slice, such as another scanner, viewer or file format may cause.

As in ImageNet-C (Hendrycks and Dietterich, ICLR 2019), each has named strengths, so that a detector
can be tested on all of them. What is random is drawn from a generator that the caller seeds.
Lengths are in units of the longer side, so that a strength means the same at any resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from falx.image.crop import background_level, head_mask

_MATRIX = 256
"""Pixels along the longer side at which noise is drawn, the usual size of an acquisition matrix."""
_KNOTS = 3
"""Of a bias field along each side."""
_VIEW_SIDE = 224
"""Pixels of a view along which blur is measured."""
_TEXT = "L 128"
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT = 22
"""Pixels of a capital letter of `_FONT` at scale 1."""

Corrupt = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""A slice float32 (height, width), [0, 1], and an amount, to the corrupted slice."""


@dataclass(frozen=True)
class Corruption:
    """A corruption, and its amount at each strength.

    Attributes:
        apply: leaves a slice as it is where the amount is 0.
        amounts: at strength 1, 2, 3; a corruption without degrees has one.
        unit: of the amounts, with "{}" for the number.
    """

    apply: Corrupt
    amounts: tuple[float, ...]
    unit: str

    def at(self, strength: int) -> float:
        """The amount at a strength, from 1."""
        return self.amounts[strength - 1]

    def described(self, strength: int) -> str:
        """The amount at a strength, with its unit."""
        return self.unit.format(self.at(strength))


def blur(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur with a standard deviation of so many 224ths of the longer side."""
    del rng
    if not amount:
        return pixels
    deviation = amount * max(pixels.shape) / _VIEW_SIDE
    blurred: np.ndarray = cv2.GaussianBlur(pixels, (0, 0), deviation)
    return blurred


def noise(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise with this standard deviation."""
    return _clipped(pixels + amount * _white_noise(pixels.shape, rng))


def rician_noise(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of magnitude images (Gudbjartsson and Patz, MRM 1995): it lifts the background."""
    real = pixels + amount * _white_noise(pixels.shape, rng)
    return _clipped(np.hypot(real, amount * _white_noise(pixels.shape, rng)))


def gamma(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Levels to the power of 1 + amount, or of its inverse."""
    exponent = (1 + amount) ** _sign(rng)
    return pixels ** np.float32(exponent)


def contrast(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """This fraction of the difference from the mean is lost."""
    del rng
    return pixels + np.float32(amount) * (pixels.mean() - pixels)


def bias_field(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth field of factors, by this fraction brighter at most, or darker."""
    knots = rng.uniform(-1, 1, (_KNOTS, _KNOTS))
    field = cv2.resize(knots, pixels.shape[::-1], interpolation=cv2.INTER_CUBIC)
    factors = (1 + amount) ** (field / np.abs(field).max())
    return _clipped(pixels * factors.astype(np.float32))


def resolution(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """This fraction of 224 pixels along the longer side is lost, and interpolated again."""
    del rng
    height, width = pixels.shape
    scale = _VIEW_SIDE * (1 - amount) / max(height, width)
    if not amount or scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    result: np.ndarray = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return result


def jpeg(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """JPEG of a quality of 100 less the amount."""
    del rng
    if not amount:
        return pixels
    quality = [cv2.IMWRITE_JPEG_QUALITY, round(100 - amount)]
    _, compressed = cv2.imencode(".jpg", _levels(pixels), quality)
    return _pixels(np.asarray(cv2.imdecode(compressed, cv2.IMREAD_GRAYSCALE)))


def rotation(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Rotated by so many degrees, to one side or the other; corners show the background."""
    height, width = pixels.shape
    center = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(center, _sign(rng) * amount, 1.0)
    rotated: np.ndarray = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
        borderValue=background_level(pixels),
    )  # fmt: skip
    return rotated


def mirror(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Left and right exchanged."""
    del rng
    return np.ascontiguousarray(pixels[:, ::-1]) if amount else pixels


def black_border(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """A black border around the slice, this fraction of its longer side wide."""
    del rng
    return _bordered(pixels, amount, 0.0)


def white_border(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """The same in white."""
    del rng
    return _bordered(pixels, amount, 1.0)


def text(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """White letters in one corner, this fraction of the longer side high."""
    if not amount:
        return pixels
    height, width = pixels.shape
    letters = amount * max(height, width)
    scale, thickness = letters / _FONT_HEIGHT, max(1, round(letters / 8))
    (length, tall), _ = cv2.getTextSize(_TEXT, _FONT, scale, thickness)
    margin, right, bottom = round(letters / 2), rng.random() < 0.5, rng.random() < 0.5
    left = width - margin - length if right else margin
    base = height - margin if bottom else margin + tall
    place = (max(left, 0), min(base, height - 1))
    written = cv2.putText(_levels(pixels), _TEXT, place, _FONT, scale, 255, thickness, cv2.LINE_AA)
    return np.maximum(pixels, _pixels(written))


def aspect(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Stretched by this fraction, along the rows or along the columns."""
    if not amount:
        return pixels
    height, width = pixels.shape
    if rng.random() < 0.5:
        size = (width, round(height * (1 + amount)))
    else:
        size = (round(width * (1 + amount)), height)
    stretched: np.ndarray = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    return stretched


def skull_stripping(pixels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """What lies within this fraction of the head's width from its outline becomes background.

    A crude stand-in for skull stripping: scalp and skull are about as thick all around, and no
    tissue is told apart.
    """
    del rng
    mask = np.pad(head_mask(pixels), 1).astype(np.uint8)
    across = int(mask.any(axis=0).sum())
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    stripped = (depth <= amount * across) & (amount > 0)
    return np.where(stripped, np.float32(background_level(pixels)), pixels)


CORRUPTIONS: Mapping[str, Corruption] = {
    "blur": Corruption(blur, (1, 2, 4), "standard deviation {} of 224 pixels"),
    "noise": Corruption(noise, (0.02, 0.05, 0.1), "standard deviation {}"),
    "Rician noise": Corruption(rician_noise, (0.02, 0.05, 0.1), "standard deviation {}"),
    "gamma": Corruption(gamma, (0.2, 0.5, 1.0), "exponent 1 + {}, or its inverse"),
    "contrast": Corruption(contrast, (0.2, 0.4, 0.6), "{} lost"),
    "bias field": Corruption(bias_field, (0.2, 0.4, 0.8), "1 + {} times brighter or darker"),
    "resolution": Corruption(resolution, (0.25, 0.5, 0.75), "{} of 224 pixels lost"),
    "JPEG": Corruption(jpeg, (50, 75, 90), "quality 100 - {}"),
    "rotation": Corruption(rotation, (5, 10, 20), "{} degrees"),
    "mirror": Corruption(mirror, (1,), "left and right exchanged"),
    "black border": Corruption(black_border, (0.05, 0.1, 0.2), "{} of the longer side"),
    "white border": Corruption(white_border, (0.05, 0.1, 0.2), "{} of the longer side"),
    "text": Corruption(text, (0.03, 0.05, 0.08), "{} of the longer side high"),
    "aspect": Corruption(aspect, (0.05, 0.1, 0.2), "stretched by {}"),
    "skull stripping": Corruption(skull_stripping, (0.03, 0.06, 0.1), "{} of the head's width"),
}
"""All corruptions, by name."""


def corrupt(pixels: np.ndarray, name: str, strength: int, seed: int = 0) -> np.ndarray:
    """A corrupted slice: float32 (height, width), [0, 1]; the size may differ.

    Args:
        pixels: float32 (height, width), [0, 1].
        name: of `CORRUPTIONS`.
        strength: from 1.
        seed: of what is random.
    """
    corruption = CORRUPTIONS[name]
    rng = np.random.default_rng(seed)
    return corruption.apply(pixels, corruption.at(strength), rng)


def _white_noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise of unit variance, drawn at an acquisition matrix: float32 (height, width)."""
    height, width = shape
    scale = min(1.0, _MATRIX / max(shape))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    drawn = rng.standard_normal(size, np.float32)
    if size == (height, width):
        return drawn
    field: np.ndarray = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_CUBIC)
    return field / field.std()


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _bordered(pixels: np.ndarray, fraction: float, level: float) -> np.ndarray:
    width = round(fraction * max(pixels.shape))
    return np.pad(pixels, width, constant_values=np.float32(level))


def _clipped(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels, 0, 1).astype(np.float32)


def _levels(pixels: np.ndarray) -> np.ndarray:
    levels: np.ndarray = np.rint(pixels * 255).astype(np.uint8)
    return levels


def _pixels(levels: np.ndarray) -> np.ndarray:
    return levels.astype(np.float32) / 255
