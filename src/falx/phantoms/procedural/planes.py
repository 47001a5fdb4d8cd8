"""Planes of slices, and the structures that they show.

Lengths are in half-lengths of the brain, shown with its anterior (in coronal slices its superior)
end at the top; x goes to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A structure painted along a quadratic Bezier curve, widest in its middle."""

    tissue: str
    first: Point
    second: Point
    third: Point
    start: float
    """Radius at the first point."""
    end: float
    """Radius at the third point."""


@dataclass(frozen=True)
class Plane:
    """A plane.

    Attributes:
        probability: of a slice to be in it.
        strokes: its inner structures, in painting order.
        fissure: how far the interhemispheric fissure extends from the front and from the back.
        width: smallest and largest half-width of the brain.
        bilateral: whether strokes are painted on both sides.
        rotation: of the slice after painting, in degrees.
        sella: where the pituitary gland lies, if the plane shows it.
    """

    probability: float
    strokes: tuple[Stroke, ...]
    fissure: tuple[float, float]
    width: tuple[float, float] = (0.74, 0.86)
    bilateral: bool = True
    rotation: int = 0
    sella: Point | None = None


_SINUS = Stroke("vessel", (0.0, 0.96), (0.0, 0.99), (0.0, 1.03), 0.016, 0.032)

_MIDDLE = (
    _SINUS,
    Stroke("gray", (0.22, -0.32), (0.15, -0.05), (0.24, 0.20), 0.035, 0.015),
    Stroke("csf", (0.17, -0.42), (0.01, -0.05), (0.22, 0.38), 0.025, 0.035),
)

_LOW = (
    _SINUS,
    Stroke("gray", (0.18, -0.28), (0.20, -0.22), (0.19, -0.15), 0.060, 0.045),
    Stroke("gray", (0.33, -0.20), (0.38, -0.05), (0.30, 0.10), 0.050, 0.070),
    Stroke("gray", (0.11, 0.00), (0.13, 0.06), (0.16, 0.16), 0.070, 0.090),
    Stroke("gray", (0.74, -0.16), (0.52, -0.12), (0.50, 0.16), 0.050, 0.050),
    Stroke("csf", (0.80, -0.20), (0.54, -0.16), (0.53, 0.10), 0.020, 0.008),
    Stroke("csf", (0.16, -0.40), (0.06, -0.28), (0.03, -0.10), 0.045, 0.018),
    Stroke("csf", (0.00, -0.06), (0.00, 0.05), (0.00, 0.14), 0.014, 0.018),
    Stroke("csf", (0.00, 0.24), (0.08, 0.24), (0.13, 0.19), 0.022, 0.008),
    Stroke("csf", (0.19, 0.24), (0.27, 0.34), (0.24, 0.52), 0.045, 0.015),
)

_BASE = (
    Stroke("scalp", (0.33, -0.92), (0.30, -0.80), (0.22, -0.55), 0.150, 0.060),
    Stroke("csf", (0.34, -0.93), (0.34, -0.90), (0.33, -0.88), 0.095, 0.095),
    Stroke("gray", (0.32, -0.72), (0.28, -0.62), (0.20, -0.50), 0.018, 0.018),
    Stroke("bone", (0.00, -0.95), (0.00, -0.75), (0.00, -0.55), 0.055, 0.075),
    Stroke("bone", (0.75, -0.52), (0.48, -0.55), (0.16, -0.36), 0.045, 0.025),
    Stroke("bone", (0.78, 0.14), (0.50, 0.16), (0.22, 0.02), 0.060, 0.020),
    Stroke("csf", (0.00, -0.24), (0.14, -0.16), (0.24, 0.10), 0.075, 0.030),
    Stroke("white", (0.00, 0.10), (0.05, 0.14), (0.08, 0.20), 0.120, 0.110),
    Stroke("csf", (0.00, 0.34), (0.04, 0.35), (0.07, 0.36), 0.030, 0.012),
    Stroke("gray", (0.22, 0.50), (0.34, 0.52), (0.40, 0.58), 0.120, 0.080),
    Stroke("white", (0.18, 0.46), (0.28, 0.48), (0.36, 0.54), 0.060, 0.030),
    Stroke("gray", (0.00, -0.19), (0.01, -0.18), (0.02, -0.17), 0.028, 0.022),
)

_CORONAL = (
    Stroke("vessel", (0.0, -0.97), (0.0, -1.0), (0.0, -1.03), 0.016, 0.032),
    Stroke("gray", (0.13, -0.02), (0.14, 0.04), (0.15, 0.10), 0.070, 0.070),
    Stroke("gray", (0.34, -0.08), (0.36, 0.00), (0.30, 0.08), 0.060, 0.050),
    Stroke("gray", (0.20, -0.26), (0.24, -0.22), (0.26, -0.16), 0.025, 0.020),
    Stroke("gray", (0.80, 0.16), (0.58, 0.12), (0.52, -0.10), 0.050, 0.045),
    Stroke("csf", (0.86, 0.18), (0.60, 0.14), (0.55, -0.08), 0.020, 0.010),
    Stroke("csf", (0.03, -0.20), (0.08, -0.34), (0.24, -0.30), 0.030, 0.020),
    Stroke("csf", (0.00, -0.06), (0.00, 0.06), (0.00, 0.18), 0.012, 0.018),
    Stroke("white", (0.00, 0.34), (0.03, 0.60), (0.00, 0.92), 0.110, 0.080),
    Stroke("csf", (0.00, 0.28), (0.20, 0.40), (0.30, 0.66), 0.030, 0.022),
    Stroke("bone", (0.62, 0.78), (0.42, 0.78), (0.26, 0.62), 0.050, 0.016),
    Stroke("csf", (0.42, 0.34), (0.46, 0.38), (0.48, 0.44), 0.012, 0.014),
    Stroke("gray", (0.00, 0.27), (0.02, 0.28), (0.04, 0.28), 0.028, 0.022),
)

_SAGITTAL = (
    Stroke("csf", (0.02, -0.26), (0.40, -0.10), (0.02, 0.26), 0.030, 0.040),
    Stroke("white", (0.02, -0.38), (0.62, -0.08), (0.04, 0.36), 0.050, 0.050),
    Stroke("gray", (0.06, -0.06), (0.08, 0.00), (0.06, 0.10), 0.080, 0.070),
    Stroke("csf", (-0.12, -0.16), (-0.30, -0.10), (-0.70, 0.02), 0.060, 0.050),
    Stroke("white", (-0.06, 0.08), (-0.34, 0.06), (-0.76, 0.22), 0.080, 0.060),
    Stroke("white", (-0.32, 0.08), (-0.36, 0.08), (-0.42, 0.11), 0.110, 0.100),
    Stroke("gray", (-0.34, 0.44), (-0.44, 0.54), (-0.50, 0.50), 0.180, 0.160),
    Stroke("white", (-0.38, 0.36), (-0.42, 0.46), (-0.46, 0.52), 0.040, 0.020),
    Stroke("csf", (-0.20, 0.26), (-0.36, 0.26), (-0.50, 0.28), 0.014, 0.022),
    Stroke("bone", (-0.44, -0.30), (-0.62, -0.16), (-0.74, -0.04), 0.080, 0.050),
    Stroke("marrow", (-0.50, -0.64), (-0.60, -0.50), (-0.62, -0.40), 0.160, 0.120),
    Stroke("bone", (-0.30, -0.52), (-0.36, -0.40), (-0.34, -0.30), 0.030, 0.022),
    Stroke("gray", (-0.27, -0.24), (-0.28, -0.23), (-0.28, -0.22), 0.032, 0.026),
)

PLANES = {
    "high": Plane(0.15, (_SINUS,), (1.0, 1.0)),
    "middle": Plane(0.25, _MIDDLE, (0.45, 0.45)),
    "low": Plane(0.25, _LOW, (0.48, 0.46)),
    "base": Plane(0.10, _BASE, (0.30, 0.20), sella=(0.0, -0.20)),
    "coronal": Plane(0.13, _CORONAL, (0.62, 0.0), (0.84, 0.98), sella=(0.0, 0.28)),
    "sagittal": Plane(
        0.12,
        _SAGITTAL,
        (0.0, 0.0),
        (0.72, 0.80),
        bilateral=False,
        rotation=90,
        sella=(-0.28, -0.24),
    ),
}
"""Axial planes from the vertex to the skull base, a coronal and a sagittal one."""
