"""Every random draw behind a synthetic slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

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


def draw(rng: Generator, tumor: bool) -> Parameters:
    """Random parameters; those of the tumor are drawn last and from distributions of their own."""
    head, look, placement = _draw_head(rng), _draw_look(rng), _draw_placement(rng)
    return Parameters(head, look, placement, _draw_tumor(rng) if tumor else None)


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
