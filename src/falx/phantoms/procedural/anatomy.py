"""A healthy head, layer by layer from the scalp inwards."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import cv2
import numpy as np
from numpy.random import default_rng

from falx.phantoms.procedural.canvas import SIZE, UNIT, canvas_noise, circles, grid, inside, over
from falx.phantoms.procedural.parameters import HeadShape
from falx.phantoms.procedural.planes import PLANES, Stroke

_ALONG = np.linspace(0, 1, 32)[:, None]


def radial_distance(head: HeadShape) -> np.ndarray:
    """Distance from the center of the brain, 1 on its surface: float32 (canvas, canvas)."""
    x, y = grid()
    half_width = head.width * (1 + head.posterior_widening * y)
    power = float(head.squareness)
    rho: np.ndarray = cv2.pow(
        cv2.pow(np.abs(x / half_width), power) + cv2.pow(np.abs(y), power), 1 / power
    )
    return rho


def paint_head(
    head: HeadShape, levels: Mapping[str, float], rho: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A head without lesions.

    Args:
        levels: gray level of each tissue and pathology, [0, 1].
        rho: as `radial_distance` gives it.

    Returns:
        Gray levels, and the fraction of each pixel that is white matter; float32 (canvas, canvas).
    """
    inner, bone = 1 + head.csf_rim, head.bone * (1 + 0.2 * canvas_noise(head.seed, 0, 6))
    skin = head.scalp * (1 + 0.35 * canvas_noise(head.seed, 1, 7)).clip(0.4, 2)
    image = levels["scalp"] * inside(rho, inner + bone + skin)
    image *= 1 + 0.1 * canvas_noise(head.seed, 7, 32)
    image = over(image, levels["bone"], inside(rho, inner + bone))
    marrow = inside(rho, inner + 0.72 * bone) - inside(rho, inner + 0.30 * bone)
    image = over(image, levels["marrow"], marrow)
    image = over(image, levels["csf"], inside(rho, inner))

    brain, (gray, sulci) = inside(rho, 1), _cortex(head, rho)
    tissue = over(np.full_like(rho, levels["white"]), levels["gray"], gray)
    tissue *= 1 + 0.03 * canvas_noise(head.seed, 3, 40)
    tissue = over(tissue, levels["gliosis"], _hyperintensities(head, gray))
    image = over(image, over(tissue, levels["csf"], sulci), brain)
    for name, cover in _structures(head):
        image = over(image, levels[name], cover)
    return over(image, levels["vessel"], _vessels(head)), brain * (1 - gray) * (1 - sulci)


def _cortex(head: HeadShape, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fraction of each pixel that is cortex, and that is sulcus or interhemispheric fissure.

    Sulci are zero lines of noise that varies faster around the brain than radially; the ratio of
    noise to gradient is the distance from them. The cortex lines them as it does the surface.
    """
    x, y = grid()
    noise = default_rng((head.seed, 4)).standard_normal((14, head.folds), np.float32)
    angle = (cv2.phase(y, x) / np.float32(2 * np.pi)) * head.folds
    # Sulci are not straight.
    angle += 1.5 * canvas_noise(head.seed, 8, 12)
    field = cv2.remap(noise, angle, rho * 5, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    field = cv2.GaussianBlur(field, (0, 0), 1.1)
    gradient = cv2.magnitude(cv2.Sobel(field, cv2.CV_32F, 1, 0), cv2.Sobel(field, cv2.CV_32F, 0, 1))
    distance = np.abs(field) / (gradient * (UNIT / 8) + np.float32(1e-6))
    depth = head.sulcus_depth * (1 + 0.5 * canvas_noise(head.seed, 5, 12))
    taper = np.clip(1.2 - (1 - rho) / np.maximum(depth, 0.03), 0, 1)
    width = head.sulcus_width * cv2.exp(0.7 * canvas_noise(head.seed, 9, 14)) * taper
    sulci = inside(distance, width) * np.minimum(3 * taper, 1)

    front, back = PLANES[head.plane].fissure
    midline = np.abs(x + 0.012 * canvas_noise(head.seed, 6, 16))
    extent = np.maximum(inside(y, front - 1), inside(-y, back - 1))
    sulci = np.maximum(sulci, inside(midline, 0.003 + 0.6 * head.sulcus_width) * extent)

    thickness = head.cortex * (1 + 0.25 * canvas_noise(head.seed, 2, 24))
    lining = inside(distance, width + thickness * np.minimum(2 * taper, 1)) * (taper > 0)
    lining = np.maximum(lining, inside(midline, thickness) * extent)
    gray = np.maximum(lining, inside(1 - rho, 1.3 * thickness))
    return cv2.blur(gray, (3, 3)), sulci


def _structures(head: HeadShape) -> Iterable[tuple[str, np.ndarray]]:
    """The tissues of the plane's strokes and their coverage of each pixel, in painting order."""
    plane = PLANES[head.plane]
    for tissue, strokes in itertools.groupby(plane.strokes, lambda stroke: stroke.tissue):
        scale = head.ventricles if tissue == "csf" else 1.0
        drawn = np.concatenate([_stroke(stroke, scale) for stroke in strokes])
        sides = (1, -1) if plane.bilateral else (1,)
        cover = circles(np.concatenate([drawn * (side, 1, 1) for side in sides]))
        yield tissue, cv2.GaussianBlur(cover, (0, 0), 1.6 if tissue == "gray" else 0.8)


def _stroke(stroke: Stroke, scale: float) -> np.ndarray:
    """Circles along a stroke: (n, 3)."""
    t = _ALONG
    curve = np.hstack([(1 - t) ** 2, 2 * t * (1 - t), t**2]) @ np.array(
        [stroke.first, stroke.second, stroke.third]
    )
    radii = (stroke.start + (stroke.end - stroke.start) * t) * (0.7 + 2 * t * (1 - t))
    return np.hstack([curve, radii * scale])


def _hyperintensities(head: HeadShape, gray: np.ndarray) -> np.ndarray:
    if not head.hyperintensities:
        return np.zeros((SIZE, SIZE), np.float32)
    return cv2.GaussianBlur(circles(np.array(head.hyperintensities)), (0, 0), 1.2) * (1 - gray)


def _vessels(head: HeadShape) -> np.ndarray:
    """Vessels in cross section, mostly near the surface."""
    rng = default_rng((head.seed, 10))
    angle, distance, radius = rng.random((3, head.vessels))
    angle, distance, radius = 2 * np.pi * angle, 1 - 0.6 * distance**2, 0.003 + 0.01 * radius**2
    disks = (head.width * distance * np.sin(angle), distance * np.cos(angle), radius)
    return cv2.blur(circles(np.stack(disks, axis=1)), (3, 3))
