"""A healthy head, layer by layer from the scalp inwards."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.random import default_rng

from falx.data.phantom.canvas import SIZE, UNIT, circles, grid, inside, over, smooth
from falx.data.phantom.parameters import Head, Look
from falx.data.phantom.planes import PLANES, Stroke

_ALONG = np.linspace(0, 1, 32)[:, None]


def depth(head: Head) -> np.ndarray:
    """Distance from the center of the brain, 1 on its surface: float32 (canvas, canvas)."""
    x, y = grid()
    wide = head.width * (1 + head.egg * y)
    power = float(head.squareness)
    rho: np.ndarray = cv2.pow(
        cv2.pow(np.abs(x / wide), power) + cv2.pow(np.abs(y), power), 1 / power
    )
    return rho


def paint_head(head: Head, look: Look, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A head without lesions.

    Args:
        rho: what `depth` gives.

    Returns:
        Gray levels, and how much of each pixel is white matter; float32 (canvas, canvas).
    """
    level = look.levels
    inner, bone = 1 + head.rim, head.bone * (1 + 0.2 * smooth(head.seed, 0, 6))
    skin = head.scalp * (1 + 0.35 * smooth(head.seed, 1, 7)).clip(0.4, 2)
    image = level["scalp"] * inside(rho, inner + bone + skin)
    image *= 1 + 0.1 * smooth(head.seed, 7, 32)
    image = over(image, level["bone"], inside(rho, inner + bone))
    marrow = inside(rho, inner + 0.72 * bone) - inside(rho, inner + 0.30 * bone)
    image = over(image, level["marrow"], marrow)
    image = over(image, level["fluid"], inside(rho, inner))

    brain, (gray, sulci) = inside(rho, 1), _cortex(head, rho)
    tissue = over(np.full_like(rho, level["white"]), level["gray"], gray)
    tissue *= 1 + 0.03 * smooth(head.seed, 3, 40)
    tissue = over(tissue, level["gliosis"], _spots(head, gray))
    image = over(image, over(tissue, level["fluid"], sulci), brain)
    for name, cover in _structures(head):
        image = over(image, level[name], cover)
    return over(image, level["vessel"], _vessels(head)), brain * (1 - gray) * (1 - sulci)


def _cortex(head: Head, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the cortex and of its furrows, the fissure between the hemispheres among them.

    Furrows are zero lines of noise that varies faster around the brain than inwards; the ratio of
    noise to gradient is the distance from them. The cortex lines them as it does the surface.
    """
    x, y = grid()
    noise = default_rng((head.seed, 4)).standard_normal((14, head.folds), np.float32)
    turn = (cv2.phase(y, x) / np.float32(2 * np.pi)) * head.folds
    # Folds bend: what lies deeper has turned further.
    turn += 1.5 * smooth(head.seed, 8, 12)
    field = cv2.remap(noise, turn, rho * 5, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    field = cv2.GaussianBlur(field, (0, 0), 1.1)
    slope = cv2.magnitude(cv2.Sobel(field, cv2.CV_32F, 1, 0), cv2.Sobel(field, cv2.CV_32F, 0, 1))
    away = np.abs(field) / (slope * (UNIT / 8) + np.float32(1e-6))
    deep = head.sulcus_depth * (1 + 0.5 * smooth(head.seed, 5, 12))
    taper = np.clip(1.2 - (1 - rho) / np.maximum(deep, 0.03), 0, 1)
    wide = head.sulcus * cv2.exp(0.7 * smooth(head.seed, 9, 14)) * taper
    furrows = inside(away, wide) * np.minimum(3 * taper, 1)

    front, back = PLANES[head.plane].fissure
    middle = np.abs(x + 0.012 * smooth(head.seed, 6, 16))
    reached = np.maximum(inside(y, front - 1), inside(-y, back - 1))
    furrows = np.maximum(furrows, inside(middle, 0.003 + 0.6 * head.sulcus) * reached)

    thick = head.cortex * (1 + 0.25 * smooth(head.seed, 2, 24))
    lining = inside(away, wide + thick * np.minimum(2 * taper, 1)) * (taper > 0)
    lining = np.maximum(lining, inside(middle, thick) * reached)
    gray = np.maximum(lining, inside(1 - rho, 1.3 * thick))
    return cv2.blur(gray, (3, 3)), furrows


def _structures(head: Head) -> Iterable[tuple[str, np.ndarray]]:
    """Tissues of the plane's strokes and how much of each pixel they cover, in order."""
    plane = PLANES[head.plane]
    for tissue, strokes in itertools.groupby(plane.strokes, lambda stroke: stroke.tissue):
        scale = head.ventricles if tissue == "fluid" else 1.0
        drawn = np.concatenate([_stroke(stroke, scale) for stroke in strokes])
        sides = (1, -1) if plane.mirrored else (1,)
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


def _spots(head: Head, gray: np.ndarray) -> np.ndarray:
    if not head.spots:
        return np.zeros((SIZE, SIZE), np.float32)
    return cv2.GaussianBlur(circles(np.array(head.spots)), (0, 0), 1.2) * (1 - gray)


def _vessels(head: Head) -> np.ndarray:
    """Vessels cut across, mostly near the surface."""
    rng = default_rng((head.seed, 10))
    turn, distance, radius = rng.random((3, head.vessels))
    turn, distance, radius = 2 * np.pi * turn, 1 - 0.6 * distance**2, 0.003 + 0.01 * radius**2
    places = (head.width * distance * np.sin(turn), distance * np.cos(turn), radius)
    return cv2.blur(circles(np.stack(places, axis=1)), (3, 3))
