"""The random parameters of a slice of a procedural head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from falx.phantoms.acquisition import FRAMED, Acquisition, Marks, draw_acquisition, draw_marks
from falx.phantoms.appearance import APPEARANCES
from falx.phantoms.procedural.planes import PLANES, Plane
from falx.phantoms.procedural.tissues import draw_levels

_KINDS = ("glioma", "meningioma", "pituitary")
_MIMICS = ("infarct", "cyst", "hemorrhage", "gliosis")


@dataclass(frozen=True)
class Lesion:
    """A focal lesion; lengths are in half-lengths of the brain."""

    kind: str
    x: float
    y: float
    radius: float
    axis_ratio: float
    """Square root of the ratio of its axes."""
    rotation: float
    """Degrees."""
    roughness: float
    """Deviation of its outline from an ellipse, in radii."""
    contrast: float
    """Opacity, (0, 1]."""
    seed: int


@dataclass(frozen=True)
class Tumor:
    """A tumor."""

    body: Lesion
    necrosis: float
    """Radius of the necrotic core over that of the tumor; 0 for none, and no ring enhancement."""
    edema: float
    """Radius of the edema over that of the tumor; 0 for none."""
    mass_effect: float
    """Displacement of the surrounding tissue, in radii."""


@dataclass(frozen=True)
class HeadShape:
    """Anatomy of a head; lengths are in half-lengths of the brain."""

    plane: str
    width: float
    """Half the width of the brain."""
    posterior_widening: float
    """How much wider the brain is posteriorly than anteriorly."""
    squareness: float
    """Exponent of the outline, a superellipse."""
    csf_rim: float
    """Thickness of the fluid between brain and bone."""
    bone: float
    """Thickness."""
    scalp: float
    """Thickness."""
    folds: int
    """Number of cortical folds around the brain, roughly."""
    sulcus_width: float
    sulcus_depth: float
    cortex: float
    """Thickness."""
    ventricles: float
    """Radius of the ventricles over the usual one."""
    vessels: int
    """Number of them."""
    hyperintensities: tuple[tuple[float, float, float], ...]
    """Of the white matter: x, y, radius."""
    mimics: tuple[Lesion, ...]
    seed: int


@dataclass(frozen=True)
class Placement:
    """Where the head lies in the image, and what is burned in around it."""

    length: float
    """Half-length of the brain, as a fraction of the image's size."""
    aspect: float
    """Width over height of a pixel."""
    rotation: float
    """Degrees."""
    shift_x: float
    shift_y: float
    mirrored: bool
    warp: float
    """Standard deviation of the elastic displacement, in half-lengths of the brain."""
    marks: Marks
    seed: int


@dataclass(frozen=True)
class Parameters:
    """All that determines a slice."""

    head: HeadShape
    levels: Mapping[str, float]
    """Gray level of each tissue and pathology, [0, 1]."""
    acquisition: Acquisition
    placement: Placement
    tumor: Tumor | None

    @property
    def kind(self) -> str:
        """The kind of tumor; empty for none."""
        return self.tumor.body.kind if self.tumor else ""

    @property
    def appearance(self) -> str:
        return self.acquisition.appearance

    @property
    def plane(self) -> str:
        return self.head.plane

    @property
    def mimics(self) -> tuple[str, ...]:
        """Kinds of the lesions that are no tumors."""
        return tuple(mimic.kind for mimic in self.head.mimics)


def draw(rng: Generator, tumor: bool) -> Parameters:
    """Random parameters; those of the tumor are drawn last, so they change no others."""
    head = _draw_head(rng)
    appearance = str(rng.choice(list(APPEARANCES), p=list(APPEARANCES.values())))
    levels = draw_levels(rng, appearance)
    acquisition = draw_acquisition(rng, appearance, whole_head=False)
    placement = _draw_placement(rng)
    return Parameters(
        head, levels, acquisition, placement, _draw_tumor(rng, head) if tumor else None
    )


def _draw_head(rng: Generator) -> HeadShape:
    plane = str(rng.choice(list(PLANES), p=[plane.probability for plane in PLANES.values()]))
    width = rng.uniform(*PLANES[plane].width)
    n_hyperintensities = rng.integers(1, 12) if rng.random() < 0.35 else 0
    n_mimics = int(rng.random() < 0.25) + int(rng.random() < 0.05)
    return HeadShape(
        plane=plane,
        width=width,
        posterior_widening=rng.uniform(0.0, 0.12),
        squareness=rng.uniform(2.0, 2.5),
        csf_rim=rng.uniform(0.01, 0.05),
        bone=rng.uniform(0.05, 0.10),
        scalp=rng.uniform(0.03, 0.10),
        folds=int(rng.integers(60, 100)),
        sulcus_width=float(np.exp(rng.uniform(np.log(0.0015), np.log(0.014)))),
        sulcus_depth=rng.uniform(0.25, 0.50),
        cortex=rng.uniform(0.026, 0.045),
        ventricles=min(float(np.exp(rng.normal(0.05, 0.4))), 2.4),
        vessels=int(rng.integers(0, 12)),
        hyperintensities=tuple(_draw_hyperintensity(rng, width) for _ in range(n_hyperintensities)),
        mimics=tuple(_draw_mimic(rng, width) for _ in range(n_mimics)),
        seed=_seed(rng),
    )


def _draw_hyperintensity(rng: Generator, width: float) -> tuple[float, float, float]:
    x, y = _position(rng, width, 0.15, 0.7)
    return x, y, min(0.01 * float(np.exp(rng.exponential(0.7))), 0.06)


def _draw_mimic(rng: Generator, width: float) -> Lesion:
    kind = str(rng.choice(_MIMICS, p=(0.35, 0.25, 0.15, 0.25)))
    is_cortical = kind == "infarct"
    x, y = _position(rng, width, *((0.7, 0.95) if is_cortical else (0.2, 0.8)))
    return Lesion(
        kind=kind,
        x=x,
        y=y,
        radius=float(np.exp(rng.uniform(np.log(0.06), np.log(0.28 if is_cortical else 0.18)))),
        axis_ratio=rng.uniform(0.7, 1.4),
        rotation=rng.uniform(0, 180),
        roughness=0.03 if kind == "cyst" else rng.uniform(0.15, 0.4),
        contrast=rng.uniform(0.6, 1.0),
        seed=_seed(rng),
    )


def _draw_placement(rng: Generator) -> Placement:
    # Some slices are cropped so closely that skull and scalp are lost, but never the whole brain.
    length = rng.uniform(0.42, 0.5) if rng.random() < 0.12 else rng.uniform(0.30, 0.43)
    max_shift = max(0.8 * (0.5 - 1.2 * length), 0.01)
    has_frame = rng.random() < FRAMED
    return Placement(
        length=length,
        aspect=float(np.clip(np.exp(rng.normal(0, 0.08)), 0.8, 1.25)),
        rotation=float(np.clip(rng.normal(0, 5), -15, 15)),
        shift_x=rng.uniform(-max_shift, max_shift),
        shift_y=rng.uniform(-max_shift, max_shift),
        mirrored=bool(rng.random() < 0.5),
        warp=rng.uniform(0.008, 0.025),
        marks=draw_marks(rng, has_frame=has_frame),
        seed=_seed(rng),
    )


def _draw_tumor(rng: Generator, head: HeadShape) -> Tumor:
    plane = PLANES[head.plane]
    kind = str(rng.choice(_KINDS, p=(0.6, 0.4, 0.0) if plane.sella is None else (0.3, 0.2, 0.5)))
    is_glioma = kind == "glioma"
    x, y = _draw_center(rng, kind, head.width, plane)
    min_radius, max_radius = (0.09, 0.22) if kind == "pituitary" else (0.11, 0.42)
    return Tumor(
        Lesion(
            kind=kind,
            x=x,
            y=y,
            radius=float(np.exp(rng.uniform(np.log(min_radius), np.log(max_radius)))),
            axis_ratio=rng.uniform(0.75, 1.3),
            rotation=rng.uniform(0, 180),
            roughness=rng.uniform(0.12, 0.3) if is_glioma else rng.uniform(0.03, 0.1),
            contrast=rng.uniform(0.65, 1.0),
            seed=_seed(rng),
        ),
        necrosis=rng.uniform(0.4, 0.85) if is_glioma and rng.random() < 0.65 else 0.0,
        edema=_draw_edema(rng, kind),
        mass_effect=rng.uniform(0.1, 0.5),
    )


def _draw_center(rng: Generator, kind: str, width: float, plane: Plane) -> tuple[float, float]:
    if kind == "pituitary":
        assert plane.sella is not None
        x, y = plane.sella
        return x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.03, 0.03)
    return _position(rng, width, *((0.2, 0.75) if kind == "glioma" else (0.82, 0.96)))


def _draw_edema(rng: Generator, kind: str) -> float:
    probability = {"glioma": 0.75, "meningioma": 0.3, "pituitary": 0.0}[kind]
    radius = rng.uniform(1.3, 2.1)
    return radius if rng.random() < probability else 0.0


def _position(rng: Generator, width: float, nearest: float, farthest: float) -> tuple[float, float]:
    """A position between two distances from the center of the brain; its surface is at 1."""
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(nearest, farthest)
    return float(width * distance * np.sin(angle)), float(-distance * np.cos(angle))


def _seed(rng: Generator) -> int:
    return int(rng.integers(2**32))
