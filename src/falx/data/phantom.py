"""Synthetic axial brain slices, with and without a tumor, made from random numbers alone.

A slice is drawn upright on a canvas, layer by layer, in units of the brain's half-length, then
placed (rotated, scaled, shifted, warped) and exposed (bias field, Rician noise, blur). The tumor
is drawn last and uses nothing up that the rest draws from, so that a seed gives the same slice
with and without one, but for the tumor's neighborhood: no other difference can give a class away.

Good for demonstrations and tests; what a network learns here says nothing about patients.
"""

from __future__ import annotations

import csv
import functools
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from falx.errors import BadInput
from falx.progress import Listener, Progress, silent

LEAST_SIZE = 64
REACH = 2.2
"""Nothing is changed by a tumor farther from its center than so many of its radii."""

TISSUES = ("scalp", "skull", "marrow", "fluid", "gray", "white", "spot")
LESIONS = ("edema", "glioma", "ring", "necrosis", "meningioma")
APPEARANCES = {
    "t1": (0.75, 0.06, 0.32, 0.12, 0.36, 0.56, 0.38, 0.36, 0.28, 0.70, 0.18, 0.72),
    "t2": (0.50, 0.04, 0.22, 0.88, 0.46, 0.29, 0.70, 0.80, 0.74, 0.62, 0.90, 0.74),
    "flair": (0.55, 0.05, 0.22, 0.09, 0.44, 0.33, 0.70, 0.74, 0.76, 0.84, 0.40, 0.80),
    "contrast": (0.75, 0.06, 0.30, 0.11, 0.31, 0.43, 0.76, 0.28, 0.62, 0.94, 0.15, 0.90),
}
"""Mean gray level of each of TISSUES and LESIONS, [0, 1]."""

PLANES = {
    "high": ((), 1.0),
    "middle": (
        (
            ("fluid", (0.17, -0.42), (0.01, -0.05), (0.22, 0.38), 0.025, 0.035),
            ("gray", (0.22, -0.32), (0.15, -0.05), (0.24, 0.20), 0.035, 0.015),
        ),
        0.45,
    ),
    "low": (
        (
            ("gray", (0.18, -0.28), (0.20, -0.22), (0.19, -0.15), 0.060, 0.045),
            ("gray", (0.33, -0.20), (0.38, -0.05), (0.30, 0.10), 0.050, 0.070),
            ("gray", (0.11, 0.00), (0.13, 0.06), (0.16, 0.16), 0.070, 0.090),
            ("gray", (0.74, -0.16), (0.52, -0.12), (0.50, 0.16), 0.050, 0.050),
            ("fluid", (0.80, -0.20), (0.54, -0.16), (0.53, 0.10), 0.020, 0.008),
            ("fluid", (0.16, -0.40), (0.06, -0.28), (0.03, -0.10), 0.045, 0.018),
            ("fluid", (0.00, -0.06), (0.00, 0.05), (0.00, 0.14), 0.014, 0.018),
            ("fluid", (0.19, 0.24), (0.27, 0.34), (0.24, 0.52), 0.045, 0.015),
        ),
        0.48,
    ),
}
"""By level of the slice: strokes (tissue, three control points of a Bezier curve on the right, its
radius at both ends), and how far the fissure comes in from front and back."""

_CANVAS = 256
_UNIT = _CANVAS / 2.64
"""Canvas pixels in half the length of the brain; the head is at most 1.3 times as long."""


@dataclass(frozen=True)
class Head:
    """Shape and content of a head; lengths are in half-lengths of the brain."""

    plane: str
    width: float
    egg: float
    """How much wider the back is than the front."""
    squareness: float
    """Exponent of the outline, a superellipse."""
    rim: float
    skull: float
    scalp: float
    folds: int
    sulcus: float
    sulcus_depth: float
    cortex: float
    ventricles: float
    """Radius of the ventricles over the usual one."""
    spots: tuple[tuple[float, float, float], ...]
    """Hyperintensities or vessels, no tumors: x, y, radius."""
    seed: int


@dataclass(frozen=True)
class Look:
    """What the scanner makes of it."""

    appearance: str
    levels: tuple[float, ...]
    """Gray level of each of TISSUES and LESIONS."""
    gain: float
    gamma: float
    bias: float
    noise: float
    blur: float
    """Standard deviation, share of the image's size."""
    seed: int


@dataclass(frozen=True)
class Placement:
    """Where the head lies in the image."""

    length: float
    """Half-length of the brain, share of the image's size."""
    rotation: float
    """Degrees."""
    shift_x: float
    shift_y: float
    warp: float
    """Standard deviation of the elastic displacement, half-lengths of the brain."""
    seed: int


@dataclass(frozen=True)
class Tumor:
    """A tumor; its center in polar coordinates about the brain's, 0 degrees in front."""

    kind: str
    angle: float
    distance: float
    """1 is the surface of the brain."""
    radius: float
    stretch: float
    roughness: float
    necrosis: float
    """Radius of the dead core over that of the tumor; 0 for none, and no ring then."""
    edema: float
    """Radius of the edema over that of the tumor; 0 for none."""
    push: float
    """Mass effect: how far what surrounds it gives way, in radii."""
    contrast: float
    """How much it stands out, (0, 1]."""
    seed: int


@dataclass(frozen=True)
class Parameters:
    """Every random draw behind a phantom."""

    head: Head
    look: Look
    placement: Placement
    tumor: Tumor | None


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


def make_phantom(seed: int | Sequence[int], *, tumor: bool, size: int = 224) -> Phantom:
    """The phantom of a seed, `size` pixels square.

    Raises:
        BadInput: `size` is too small.
    """
    return paint(draw(default_rng(seed), tumor), size)


def write_phantoms(
    folder: Path, n: int, *, seed: int = 0, size: int = 224, listener: Listener = silent
) -> None:
    """Write a data set: `n` slices as PNG, every second one with a tumor.

    `folder` gets yes/, no/ and phantoms.csv; the masks of yes/ go beside it, to FOLDER-masks/yes,
    where no catalog takes them for a class. Slice i depends on (seed, i) alone. Both folders get
    their names only when they are whole.

    Raises:
        BadInput: the folder is in use or can't be written, or a number is out of range.
    """
    folder = folder.resolve()
    masks = folder.parent / f"{folder.name}-masks"
    _check(n >= 2, f"A set of phantoms needs `n` of at least 2, one of each class, got {n}.")
    _check(seed >= 0, f"`seed` must not be negative, got {seed}.")
    _check_size(size)
    try:
        for taken in (folder, masks):
            free = not taken.exists() or (taken.is_dir() and not any(taken.iterdir()))
            _check(free, f"'{taken}' exists and is not an empty folder; name another or remove it.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(".partial", f"{folder.name}-", folder.parent) as partial:
            _write_set(Path(partial), n, seed, size, listener)
            # Masks first: where there are slices, their masks are there too.
            for source, target in (("masks", masks), ("slices", folder)):
                if target.exists():
                    target.rmdir()
                (Path(partial) / source).rename(target)
    except OSError as error:
        raise BadInput(f"Phantoms can't be written to '{folder}': {error.strerror}.") from error


def draw(rng: Generator, tumor: bool) -> Parameters:
    """Random parameters; those of the tumor are drawn last and from distributions of their own."""
    head, look, placement = _draw_head(rng), _draw_look(rng), _draw_placement(rng)
    return Parameters(head, look, placement, _draw_tumor(rng) if tumor else None)


def paint(parameters: Parameters, size: int = 224) -> Phantom:
    """The phantom of these parameters, the same each time.

    Raises:
        BadInput: `size` is too small.
    """
    _check_size(size)
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


def _draw_head(rng: Generator) -> Head:
    def spot() -> tuple[float, float, float]:
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.8)
        radius = min(0.012 * np.exp(rng.exponential(0.6)), 0.06)
        return float(0.8 * distance * np.sin(angle)), float(distance * np.cos(angle)), float(radius)

    return Head(
        plane=str(rng.choice(list(PLANES), p=(0.25, 0.35, 0.4))),
        width=rng.uniform(0.74, 0.86),
        egg=rng.uniform(0.02, 0.12),
        squareness=rng.uniform(2.0, 2.5),
        rim=rng.uniform(0.015, 0.05),
        skull=rng.uniform(0.05, 0.09),
        scalp=rng.uniform(0.03, 0.09),
        folds=int(rng.integers(56, 84)),
        sulcus=rng.uniform(0.006, 0.018),
        sulcus_depth=rng.uniform(0.22, 0.42),
        cortex=rng.uniform(0.028, 0.042),
        ventricles=min(float(np.exp(rng.normal(0.05, 0.4))), 2.2),
        spots=tuple(spot() for _ in range(rng.integers(0, 9) * rng.integers(0, 2))),
        seed=_seed(rng),
    )


def _draw_look(rng: Generator) -> Look:
    appearance = str(rng.choice(list(APPEARANCES), p=(0.15, 0.25, 0.25, 0.35)))
    means = np.array(APPEARANCES[appearance])
    levels = np.clip(means * rng.normal(1, 0.08, means.size), 0.02, 1)
    # Fat is suppressed in some sequences and saturated in others.
    levels[0] = np.clip(levels[0] * rng.uniform(0.5, 1.3), 0.2, 1)
    return Look(
        appearance=appearance,
        levels=tuple(levels.tolist()),
        gain=rng.uniform(0.85, 1.5),
        gamma=rng.uniform(0.8, 1.25),
        bias=rng.uniform(0.02, 0.12),
        noise=rng.uniform(0.004, 0.05),
        blur=rng.uniform(0.0015, 0.0045),
        seed=_seed(rng),
    )


def _draw_placement(rng: Generator) -> Placement:
    length = rng.uniform(0.30, 0.40)
    room = 0.8 * (0.5 - 1.25 * length)
    return Placement(
        length=length,
        rotation=float(np.clip(rng.normal(0, 5), -15, 15)),
        shift_x=rng.uniform(-0.08, 0.08),
        shift_y=rng.uniform(-room, room),
        warp=rng.uniform(0.01, 0.025),
        seed=_seed(rng),
    )


def _draw_tumor(rng: Generator) -> Tumor:
    glioma = rng.random() < 0.6
    return Tumor(
        kind="glioma" if glioma else "meningioma",
        angle=rng.uniform(0, 360),
        distance=rng.uniform(0.25, 0.75) if glioma else rng.uniform(0.82, 0.96),
        radius=float(np.exp(rng.uniform(np.log(0.14), np.log(0.42)))),
        stretch=rng.uniform(0.75, 1.3),
        roughness=rng.uniform(0.12, 0.3) if glioma else rng.uniform(0.03, 0.1),
        necrosis=rng.uniform(0.4, 0.8) if glioma and rng.random() < 0.65 else 0.0,
        edema=rng.uniform(1.3, 2.1) if rng.random() < (0.75 if glioma else 0.3) else 0.0,
        push=rng.uniform(0.1, 0.5),
        contrast=rng.uniform(0.6, 1.0),
        seed=_seed(rng),
    )


def _seed(rng: Generator) -> int:
    return int(rng.integers(2**32))


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


def _write_set(root: Path, n: int, seed: int, size: int, listener: Listener) -> None:
    for part in ("slices/yes", "slices/no", "masks/yes"):
        (root / part).mkdir(parents=True)
    with (root / "slices" / "phantoms.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("path", "label", "seed", "index", "appearance", "plane", "kind", "radius"))
        for i in range(n):
            phantom = make_phantom((seed, i), tumor=i % 2 == 1, size=size)
            drawn, tumor = phantom.parameters, phantom.parameters.tumor
            path = f"{phantom.label}/{i:05d}.png"
            _write_png(root / "slices" / path, phantom.pixels)
            if tumor is not None:
                _write_png(root / "masks" / path, phantom.mask.astype(np.uint8) * 255)
            about = (tumor.kind, f"{tumor.radius:.4f}") if tumor else ("", "")
            table.writerow(
                (path, phantom.label, seed, i, drawn.look.appearance, drawn.head.plane, *about)
            )
            listener(Progress("Phantoms", i + 1, n))


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _check_size(size: int) -> None:
    _check(size >= LEAST_SIZE, f"`size` must be at least {LEAST_SIZE} pixels, got {size}.")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise BadInput(message)
