"""From parameters to the pixels of a synthetic slice, layer by layer."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import default_rng

from falx.data.phantom.parameters import (
    LESIONS,
    PLANES,
    TISSUES,
    Head,
    Look,
    Parameters,
    Placement,
    Tumor,
)
from falx.errors import BadInput

LEAST_SIZE = 64

REACH = 2.2
"""Nothing is changed by a tumor farther from its center than so many of its radii."""

_CANVAS = 256
_UNIT = _CANVAS / 2.64
"""Canvas pixels in half the length of the brain; the head is at most 1.3 times as long."""


@dataclass(frozen=True)
class Phantom:
    """A synthetic slice.

    Attributes:
        pixels: uint8 (height, width).
        mask: the tumor without its edema, bool (height, width); all False without one.
        label: "no" or "yes".
        parameters: what it was painted from.
    """

    pixels: np.ndarray
    mask: np.ndarray
    label: str
    parameters: Parameters


def paint(parameters: Parameters, size: int = 224) -> Phantom:
    """The phantom of these parameters, the same each time.

    Raises:
        BadInput: `size` is too small.
    """
    check_size(size)
    tumor, look = parameters.tumor, parameters.look
    rho = _radius(parameters.head)
    image, white = _anatomy(parameters.head, look, rho)
    mask = np.zeros_like(image)
    if tumor is not None:
        image, mask = _grow(tumor, parameters.head, look, rho, image, white)
    maps = _maps(parameters.placement, size)
    # OpenCV interpolates float64 differently, so that a stray one would give the tumor away.
    assert image.dtype == np.float32
    image, mask = (cv2.remap(layer, *maps, cv2.INTER_LINEAR) for layer in (image, mask))
    label = "no" if tumor is None else "yes"
    return Phantom(_expose(image, look), mask > 0.5, label, parameters)


@functools.cache
def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Coordinates x (to the right) and y (to the back) of the canvas: float32 (canvas, canvas)."""
    axis = (np.arange(_CANVAS, dtype=np.float32) - (_CANVAS - 1) / 2) / np.float32(_UNIT)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _to_canvas(position: np.ndarray) -> np.ndarray:
    """From half-lengths of the brain to pixels of the canvas, float32."""
    pixels: np.ndarray = (position * _UNIT + (_CANVAS - 1) / 2).astype(np.float32)
    return pixels


def _smooth(seed: int, stream: int, cells: int, size: int = _CANVAS) -> np.ndarray:
    """A smooth random field of about unit variance: float32 (size, size)."""
    values = default_rng((seed, stream)).standard_normal((cells, cells), np.float32)
    return cv2.resize(values, (size, size), interpolation=cv2.INTER_CUBIC)


def _inside(distance: np.ndarray, border: float | np.ndarray) -> np.ndarray:
    """How much of each canvas pixel lies within a border, [0, 1]."""
    cover: np.ndarray = np.clip(0.5 + (border - distance) * np.float32(_UNIT), 0, 1)
    return cover


def _over(image: np.ndarray, level: float | np.ndarray, cover: np.ndarray) -> np.ndarray:
    blended: np.ndarray = image + (level - image) * cover
    return blended


def _radius(head: Head) -> np.ndarray:
    """Distance from the center of the brain, 1 on its surface: float32 (canvas, canvas)."""
    x, y = _grid()
    wide = head.width * (1 + head.egg * y)
    power = np.float32(head.squareness)
    rho: np.ndarray = (np.abs(x / wide) ** power + np.abs(y) ** power) ** (1 / power)
    return rho


def _anatomy(head: Head, look: Look, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gray levels, and how much of each pixel is white matter; float32 (canvas, canvas)."""
    level = dict(zip(TISSUES, look.levels, strict=False))
    inner, bone = 1 + head.rim, head.skull * (1 + 0.15 * _smooth(head.seed, 0, 5))
    skin = head.scalp * (1 + 0.15 * _smooth(head.seed, 1, 6))
    brain, sulci = _inside(rho, 1), _sulci(head, rho)
    fluid, nuclei = _strokes(head, "fluid"), cv2.GaussianBlur(_strokes(head, "gray"), (0, 0), 2)
    depth = cv2.distanceTransform((brain * (1 - sulci) > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    thickness = head.cortex * (1 + 0.2 * _smooth(head.seed, 2, 24))
    gray = np.maximum(_inside(depth / np.float32(_UNIT), thickness), 0.85 * nuclei)
    fluid = np.maximum(fluid, sulci)

    image = level["scalp"] * _inside(rho, inner + bone + skin)
    image = _over(image, level["skull"], _inside(rho, inner + bone))
    marrow = _inside(rho, inner + 0.7 * bone) - _inside(rho, inner + 0.35 * bone)
    image = _over(image, level["marrow"], marrow)
    image = _over(image, level["fluid"], _inside(rho, inner))
    tissue = _over(np.full_like(rho, level["white"]), level["gray"], gray)
    tissue *= 1 + 0.03 * _smooth(head.seed, 3, 40)
    spots = cv2.GaussianBlur(_circles(np.array(head.spots).reshape(-1, 3)), (0, 0), 1)
    tissue = _over(tissue, level["spot"], 0.9 * spots * brain)
    image = _over(image, _over(tissue, level["fluid"], fluid), brain)
    return image, brain * (1 - gray) * (1 - fluid)


def _sulci(head: Head, rho: np.ndarray) -> np.ndarray:
    """Furrows of the cortex and the fissure between the hemispheres, [0, 1].

    Furrows are zero lines of noise that varies faster around the brain than inwards, as wide as
    the ratio of noise to gradient says.
    """
    x, y = _grid()
    noise = default_rng((head.seed, 4)).standard_normal((12, head.folds), np.float32)
    turn = (np.arctan2(x, y) / np.float32(2 * np.pi) + 0.5) * head.folds
    field = cv2.remap(noise, turn, rho * 5, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    field = cv2.GaussianBlur(field, (0, 0), 1.2)
    slope = np.hypot(cv2.Sobel(field, cv2.CV_32F, 1, 0), cv2.Sobel(field, cv2.CV_32F, 0, 1)) / 8
    line = np.abs(field) / (slope * np.float32(_UNIT) + 1e-6)
    deep = head.sulcus_depth * (1 + 0.5 * _smooth(head.seed, 5, 12))
    taper = np.clip(1.2 - (1 - rho) / np.maximum(deep, 0.03), 0, 1)
    furrows = _inside(line, head.sulcus * taper) * np.minimum(3 * taper, 1)
    reach = PLANES[head.plane][1]
    middle = np.abs(x + 0.012 * _smooth(head.seed, 6, 16))
    fissure = _inside(middle, 0.004 + 0.5 * head.sulcus) * _inside(-np.abs(y), reach - 1)
    sulci: np.ndarray = np.maximum(furrows, fissure)
    return sulci


def _strokes(head: Head, tissue: str) -> np.ndarray:
    """The strokes of one tissue on both sides, widest in their middle, [0, 1]."""
    t = np.linspace(0, 1, 40)[:, None]
    weights = np.hstack([(1 - t) ** 2, 2 * t * (1 - t), t**2])
    circles = [np.empty((0, 3))]
    for kind, first, second, third, start, end in PLANES[head.plane][0]:
        if kind == tissue:
            curve = weights @ np.array([first, second, third])
            radii = (start + (end - start) * t) * (0.7 + 2 * t * (1 - t))
            radii = radii * head.ventricles if kind == "fluid" else radii
            circles += [np.hstack([curve * (side, 1), radii]) for side in (-1, 1)]
    return _circles(np.concatenate(circles))


def _circles(circles: np.ndarray) -> np.ndarray:
    """Filled circles (n, 3) of x, y and radius, in half-lengths of the brain, drawn as [0, 1]."""
    canvas = np.zeros((_CANVAS, _CANVAS), np.uint8)
    # OpenCV takes whole numbers; these are sixteenths of a pixel.
    centers = np.rint(16 * _to_canvas(circles[:, :2])).astype(int).tolist()
    for (x, y), radius in zip(centers, circles[:, 2], strict=True):
        cv2.circle(canvas, (x, y), round(16 * radius * _UNIT), 255, cv2.FILLED, cv2.LINE_AA, 4)
    cover: np.ndarray = canvas.astype(np.float32) / 255
    return cover


def _grow(
    tumor: Tumor, head: Head, look: Look, rho: np.ndarray, image: np.ndarray, white: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The image with the tumor in it, and the tumor's share of each pixel."""
    level = dict(zip(LESIONS, look.levels[len(TISSUES) :], strict=True))
    turn, radius = math.radians(tumor.angle), tumor.radius
    center = tumor.distance * head.width * math.sin(turn), -tumor.distance * math.cos(turn)
    x, y = ((axis - at) / radius for axis, at in zip(_grid(), center, strict=True))
    away = np.hypot(x, y).astype(np.float32)
    image, white = (_pushed(layer, tumor, x, y, away, rho) for layer in (image, white))

    coarse, fine = (_smooth(tumor.seed, k, round((3, 9)[k] / tumor.radius)) for k in (0, 1))
    rough = (tumor.roughness * (coarse + 0.4 * fine)).clip(-0.6, 0.6)
    outline = np.hypot(x * tumor.stretch, y / tumor.stretch) * (1 + rough)
    surface = 1 + head.rim * (tumor.kind == "meningioma")
    within = np.clip(2.5 * (REACH - away), 0, 1) * _inside(rho, surface)
    body = _inside(outline * radius, radius) * within
    texture = _smooth(tumor.seed, 2, 48)
    if tumor.edema:
        fingers = np.clip((tumor.edema - outline - rough) * 3, 0, 1) * within
        image = _over(image, level["edema"], tumor.contrast * fingers * (0.15 + 0.8 * white))
    solid = level["ring"] if tumor.necrosis else level[tumor.kind]
    image = _over(image, solid * (1 + 0.08 * texture), tumor.contrast * body)
    core = _inside(outline * radius, (tumor.necrosis + 0.15 * texture) * radius) * body
    dead = _over(image, level["necrosis"], tumor.contrast * core)
    return (dead if tumor.necrosis else image), body


def _pushed(
    layer: np.ndarray,
    tumor: Tumor,
    x: np.ndarray,
    y: np.ndarray,
    away: np.ndarray,
    rho: np.ndarray,
) -> np.ndarray:
    """A layer after the mass effect: the brain gives way, the skull does not.

    Args:
        x, y, away: offset and distance from the tumor's center, in its radii.
    """
    give = tumor.push * np.clip(1 - away / REACH, 0, 1) ** 2 * np.clip((1 - rho) * 5, 0, 1)
    shift = give / np.maximum(away, 0.3) * np.float32(tumor.radius)
    columns, rows = (
        _to_canvas(axis - shift * part) for axis, part in zip(_grid(), (x, y), strict=True)
    )
    moved = cv2.remap(layer, columns, rows, cv2.INTER_LINEAR)
    # Interpolation at whole pixels is not exact, and what is not pushed must stay as it was.
    return np.where(give > 0, moved, layer)


def _maps(placement: Placement, size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of the image, the canvas pixel it shows: two float32 (size, size)."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = np.meshgrid(axis - placement.shift_x, axis - placement.shift_y)
    turn = math.radians(placement.rotation)
    sine, cosine = math.sin(turn), math.cos(turn)
    turned = (cosine * x - sine * y, sine * x + cosine * y)
    bent = (part / placement.length + _bend(placement, k, size) for k, part in enumerate(turned))
    columns, rows = (_to_canvas(part) for part in bent)
    return columns, rows


def _bend(placement: Placement, axis: int, size: int) -> np.ndarray:
    """The elastic displacement along an axis, in half-lengths of the brain."""
    coarse, fine = (_smooth(placement.seed, 2 * axis + k, (6, 20)[k], size) for k in (0, 1))
    bend: np.ndarray = placement.warp * (coarse + 0.25 * fine)
    return bend


def _expose(image: np.ndarray, look: Look) -> np.ndarray:
    """Bias field, contrast, Rician noise (Gudbjartsson and Patz 1995) and blur: uint8.

    Nothing here depends on the image as a whole, such as its maximum, so that a tumor changes
    pixels only where it is.
    """
    size = len(image)
    signal = look.gain * np.maximum(image, 0) ** np.float32(look.gamma)
    signal *= np.exp(look.bias * _smooth(look.seed, 0, 4, size))
    real, imaginary = default_rng((look.seed, 1)).standard_normal((2, size, size), np.float32)
    noisy = np.hypot(signal + look.noise * real, look.noise * imaginary)
    noisy = cv2.GaussianBlur(noisy.astype(np.float32), (0, 0), look.blur * size)
    pixels: np.ndarray = np.rint(255 * noisy.clip(0, 1)).astype(np.uint8)
    return pixels


def check_size(size: int) -> None:
    if size < LEAST_SIZE:
        raise BadInput(f"`size` must be at least {LEAST_SIZE} pixels, got {size}.")
