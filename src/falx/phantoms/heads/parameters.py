"""The random parameters of a slice, or a volume, of a whole head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from falx.phantoms.acquisition import FRAMED, Acquisition, Marks, draw_acquisition, draw_marks
from falx.phantoms.appearance import APPEARANCES
from falx.phantoms.classes import MIMICS
from falx.phantoms.heads.anatomy import Anatomies, Anatomy
from falx.phantoms.heads.pose import AXES, Frame, Pose, locate
from falx.phantoms.heads.tissues import draw_levels


@dataclass(frozen=True)
class Lesion:
    """A lesion; lengths are in millimeters of the anatomy at rest."""

    kind: str
    center: tuple[float, float, float]
    """In millimeters (RAS) from the center of the brain."""
    radius: float
    axes: tuple[float, float, float]
    """Radii along its axes over `radius`; their product is 1."""
    roughness: float
    """Deviation of its outline from an ellipsoid, in radii."""
    contrast: float
    """Opacity, (0, 1]."""
    necrosis: float
    """Radius of its core over its own; 0 for none, and no ring."""
    edema: float
    """Radius of its edema over its own; 0 for none."""
    mass_effect: float
    """Displacement of the surrounding tissue, in radii."""
    seed: int


@dataclass(frozen=True)
class Parameters:
    """All that determines a slice, beside the anatomies."""

    pose: Pose
    frame: Frame
    levels: tuple[float, ...]
    """Gray level of each tissue."""
    pathologies: Mapping[str, float]
    """Gray level of each pathology."""
    acquisition: Acquisition
    marks: Marks
    lesions: tuple[Lesion, ...]
    """That are no tumors."""
    tumors: tuple[Lesion, ...]
    """Of one kind; empty for none."""
    plane: str
    """See falx.phantoms.classes.PLANE_NAMES."""

    @property
    def kind(self) -> str:
        """The kind of tumor; empty for none."""
        return self.tumors[0].kind if self.tumors else ""

    @property
    def appearance(self) -> str:
        return self.acquisition.appearance

    @property
    def mimics(self) -> tuple[str, ...]:
        """Kinds of the lesions that are no tumors, without the pituitary gland and small spots."""
        return tuple(lesion.kind for lesion in self.lesions if lesion.kind in MIMICS)


_PLANES = {"axial": 0.78, "coronal": 0.11, "sagittal": 0.11}


@dataclass(frozen=True)
class _Habit:
    """What lesions of a kind are like; pairs are the least and largest value."""

    probability: float
    """Of the kind among its likes."""
    site: str
    """Where they start; see falx.phantoms.heads.anatomy.Anatomy.sites."""
    radius: tuple[float, float]
    """In millimeters."""
    roughness: tuple[float, float]
    mass_effect: tuple[float, float] = (0.0, 0.0)
    necrosis: float = 0.0
    """Probability of a core."""
    edema: float = 0.0
    """Probability of edema."""


_TUMORS = {
    "glioma": _Habit(0.34, "white", (8, 30), (0.15, 0.45), (0.05, 0.45), 0.7, 0.85),
    "residual": _Habit(0.16, "white", (7, 22), (0.2, 0.5), (-0.05, 0.15), 1.0, 0.8),
    "metastasis": _Habit(0.20, "gray", (3, 14), (0.05, 0.2), (0.05, 0.35), 0.5, 0.7),
    "meningioma": _Habit(0.14, "surface", (6, 28), (0.03, 0.15), (0.2, 0.5), 0.0, 0.4),
    "low_grade": _Habit(0.10, "white", (9, 28), (0.2, 0.45), (0.02, 0.2)),
    "pituitary": _Habit(0.06, "sella", (6, 15), (0.05, 0.2), (0.2, 0.5)),
}

_MIMICS = {
    "infarct": _Habit(0.20, "gray", (8, 30), (0.2, 0.45), (0.0, 0.1), edema=0.7),
    "cyst": _Habit(0.14, "surface", (5, 22), (0.03, 0.1), (0.1, 0.4)),
    "hemorrhage": _Habit(0.12, "white", (4, 20), (0.1, 0.3), (0.0, 0.3), edema=0.6),
    "gliosis": _Habit(0.20, "white", (4, 20), (0.25, 0.5)),
    "cavity": _Habit(0.18, "white", (6, 22), (0.1, 0.35), (-0.1, 0.05), edema=0.3),
    "edema": _Habit(0.16, "white", (10, 30), (0.3, 0.5), (0.0, 0.1)),
}

_GLAND = _Habit(1.0, "sella", (4, 6), (0.05, 0.1))
"""The pituitary gland."""
_SPOT = _Habit(1.0, "white", (1.2, 4), (0.1, 0.4))
"""A small lesion of white matter."""

_MIMIC_PROBABILITY = 0.3
_ANYWHERE = 0.35
"""Probability that a slice without a tumor lies anywhere in the head, the neck and vertex included;
the others lie where a tumor might have been."""
_EXTENT = 0.88
"""Fraction of the head, from its center, that slices anywhere show; beyond it are nose and chin."""
_REACH = 0.7
"""Radii from a tumor's center within which a slice with it lies."""


def draw(rng: Generator, anatomies: Anatomies, tumor: bool) -> Parameters:
    """Random parameters of a slice.

    With and without a tumor they are the same but for it, unless the slice without one lies
    anywhere.
    """
    pose = _draw_pose(rng, len(anatomies))
    anatomy = anatomies[pose.anatomy]
    tumors = _draw_tumors(rng, anatomy)
    frame = _draw_frame(rng, anatomy, pose, tumors[0], anywhere=not tumor)
    appearance = str(rng.choice(list(APPEARANCES), p=list(APPEARANCES.values())))
    levels, pathologies = draw_levels(rng, appearance)
    acquisition = draw_acquisition(rng, appearance, whole_head=True)
    marks = draw_marks(rng, has_frame=rng.random() < FRAMED)
    others = _draw_others(rng, anatomy)
    above = frame.offset / pose.scale[2]
    plane = anatomy.plane_name(above) if pose.plane == "axial" else pose.plane
    return Parameters(
        pose, frame, tuple(levels.tolist()), pathologies, acquisition, marks, others,
        tumors if tumor else (), plane,
    )  # fmt: skip


def _draw_pose(rng: Generator, n: int) -> Pose:
    return Pose(
        anatomy=int(rng.integers(n)),
        plane=str(rng.choice(list(_PLANES), p=list(_PLANES.values()))),
        tilt=(rng.normal(0, 9), rng.normal(0, 4), rng.normal(0, 4)),
        scale=tuple((rng.uniform(0.92, 1.08) * rng.uniform(0.94, 1.06, 3)).tolist()),
        mirrored=bool(rng.random() < 0.5),
        warp=rng.uniform(0.5, 2.8),
        stripped=bool(rng.random() < 0.08),
        choroid=rng.uniform(0.0, 0.15),
        vessels=rng.uniform(0.0, 0.06),
        streaks=rng.uniform(0.05, 0.4),
        seed=_seed(rng),
    )


def _draw_frame(
    rng: Generator, anatomy: Anatomy, pose: Pose, tumor: Lesion, *, anywhere: bool
) -> Frame:
    axis = int(np.abs(AXES[pose.plane][2]).argmax())
    scale = pose.scale[axis]
    thickness = float(rng.choice((1.0, 1.5, 3.0, 4.0, 5.0, 6.0)))
    radius = tumor.radius * tumor.axes[axis] * scale
    offset = locate(pose, tumor.center)[2] + radius * rng.uniform(-_REACH, _REACH)
    position, is_anywhere = rng.random(), rng.random() < _ANYWHERE
    if anywhere and is_anywhere:
        ends = np.array([0, anatomy.tissues.shape[axis] - 1]) - anatomy.center[axis]
        low, high = ends * anatomy.spacing[axis] * scale * AXES[pose.plane][2][axis] * _EXTENT
        offset = low + position * (high - low)
    extent = np.array(anatomy.tissues.shape) * anatomy.spacing
    shown = [float(extent[int(np.abs(np.array(row)).argmax())]) for row in AXES[pose.plane][:2]]
    # A field of view as large as the larger side of the head, cut off below in upright planes.
    side = 225.0 if pose.plane != "axial" else max(shown)
    field = side * (rng.uniform(0.86, 1.0) if rng.random() < 0.15 else rng.uniform(1.0, 1.35))
    slack = max(0.4 * (field - side), 4.0)
    return Frame(
        offset=float(offset),
        thickness=thickness,
        field_of_view=float(field),
        shift=(float(rng.uniform(-1, 1) * slack), float(rng.uniform(-1, 1) * slack)),
        wrap=float(rng.uniform(0.02, 0.12)) if rng.random() < 0.06 else 0.0,
    )


def _draw_tumors(rng: Generator, anatomy: Anatomy) -> tuple[Lesion, ...]:
    kind = _draw_kind(rng, _TUMORS)
    # Metastases are often several.
    n = min(int(rng.geometric(0.45)), 8) if kind == "metastasis" else 1
    return tuple(_draw_lesion(rng, anatomy, kind, _TUMORS[kind]) for _ in range(n))


def _draw_others(rng: Generator, anatomy: Anatomy) -> tuple[Lesion, ...]:
    """Mimics, the pituitary gland, and small spots in the white matter."""
    n = int(rng.random() < _MIMIC_PROBABILITY) + int(rng.random() < 0.08)
    kinds = [_draw_kind(rng, _MIMICS) for _ in range(n)]
    mimics = [_draw_lesion(rng, anatomy, kind, _MIMICS[kind]) for kind in kinds]
    n_spots = int(rng.integers(3, 25)) if rng.random() < 0.35 else 0
    spots = [_draw_lesion(rng, anatomy, "spot", _SPOT) for _ in range(n_spots)]
    return (*mimics, _draw_lesion(rng, anatomy, "gland", _GLAND), *spots)


def _draw_kind(rng: Generator, habits: Mapping[str, _Habit]) -> str:
    return str(rng.choice(list(habits), p=[habit.probability for habit in habits.values()]))


def _draw_lesion(rng: Generator, anatomy: Anatomy, kind: str, habit: _Habit) -> Lesion:
    # Label maps without a tissue have no place of its kind.
    places = anatomy.sites[habit.site] if len(anatomy.sites[habit.site]) else anatomy.sites["white"]
    voxel = places[rng.integers(len(places))]
    center = (voxel - anatomy.center) * anatomy.spacing + rng.uniform(-0.5, 0.5, 3)
    axes = np.exp(rng.normal(0, 0.22, 3))
    axes /= np.cbrt(np.prod(axes))
    necrosis, edema = rng.uniform(0.35, 0.88), rng.uniform(1.3, 2.4)
    return Lesion(
        kind=kind,
        center=tuple(center.tolist()),
        radius=float(np.exp(rng.uniform(*np.log(habit.radius).tolist()))),
        axes=tuple(axes.tolist()),
        roughness=rng.uniform(*habit.roughness),
        contrast=rng.uniform(0.65, 1.0),
        necrosis=necrosis if rng.random() < habit.necrosis else 0.0,
        edema=edema if rng.random() < habit.edema else 0.0,
        mass_effect=rng.uniform(*habit.mass_effect),
        seed=_seed(rng),
    )


def _seed(rng: Generator) -> int:
    return int(rng.integers(2**32))
