"""Lesions: tumors and their mimics."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from falx.phantoms.procedural.canvas import canvas_noise, grid, inside, over, to_canvas
from falx.phantoms.procedural.parameters import HeadShape, Lesion, Tumor

REACH = 2.2
"""Radii from its center beyond which a tumor changes nothing."""


def add_mimic(
    lesion: Lesion, levels: Mapping[str, float], rho: np.ndarray, image: np.ndarray
) -> np.ndarray:
    """The image with a lesion that is not a tumor, without mass effect.

    Args:
        levels: gray level of each tissue and pathology, [0, 1].
        rho: distance from the center of the brain, 1 on its surface.
    """
    brain = inside(rho, 1) * np.float32(lesion.contrast)
    outline = _outline(lesion, *_offsets(lesion))
    body = inside(outline * lesion.radius, lesion.radius) * brain
    halo = np.clip((1.5 - outline) * 2, 0, 1) * brain
    match lesion.kind:
        case "gliosis":
            return over(image, levels["gliosis"], halo)
        case "infarct":
            return over(over(image, levels["gliosis"], 0.7 * halo), levels["infarct"], body)
        case "hemorrhage":
            rim = inside(outline * lesion.radius, 1.15 * lesion.radius) * brain
            texture = 1 + 0.12 * canvas_noise(lesion.seed, 2, 40)
            return over(over(image, levels["bone"], rim), levels["blood"] * texture, body)
        case _:
            return over(image, levels["cyst"], body)


def add_tumor(
    tumor: Tumor,
    head: HeadShape,
    levels: Mapping[str, float],
    rho: np.ndarray,
    image: np.ndarray,
    white: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The image with a tumor, and the fraction of each pixel that is tumor."""
    lesion = tumor.body
    radius, contrast = lesion.radius, lesion.contrast
    x, y = _offsets(lesion)
    distance = cv2.magnitude(x, y)
    image, white = (_displaced(layer, tumor, x, y, distance, rho) for layer in (image, white))
    outline = _outline(lesion, x, y)
    surface = 1 + head.csf_rim * (lesion.kind != "glioma")
    within = np.clip(2.5 * (REACH - distance), 0, 1) * inside(rho, surface)
    body = inside(outline * radius, radius) * within
    texture = canvas_noise(lesion.seed, 2, 48)
    if tumor.edema:
        fingers = np.clip((tumor.edema - outline) * 3, 0, 1) * within
        image = over(image, levels["edema"], contrast * fingers * (0.15 + 0.8 * white))
    solid = levels["ring"] if tumor.necrosis else levels[lesion.kind]
    image = over(image, solid * (1 + 0.08 * texture), contrast * body)
    if tumor.necrosis:
        # The viable rim of a tumor is of uneven width.
        ragged = tumor.necrosis + 0.08 * texture + 0.12 * canvas_noise(lesion.seed, 3, 14)
        core = inside(outline * radius, np.minimum(ragged, 0.93) * radius) * body
        image = over(image, levels["necrosis"] * (1 + 0.1 * texture), contrast * core)
    return image, body


def _offsets(lesion: Lesion) -> tuple[np.ndarray, np.ndarray]:
    """Offsets x and y of canvas pixels from a lesion's center, in its radii."""
    x, y = grid()
    return (x - lesion.x) / np.float32(lesion.radius), (y - lesion.y) / np.float32(lesion.radius)


def _outline(lesion: Lesion, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A field that is 1 on the lesion's border and smaller inside."""
    angle = math.radians(lesion.rotation)
    sine, cosine = math.sin(angle), math.cos(angle)
    along, across = cosine * x + sine * y, cosine * y - sine * x
    coarse, fine = (
        canvas_noise(lesion.seed, k, max(4, round(cells / lesion.radius)))
        for k, cells in enumerate((3, 9))
    )
    rough = (lesion.roughness * (coarse + 0.4 * fine)).clip(-0.6, 0.6)
    outline: np.ndarray = cv2.magnitude(along * lesion.axis_ratio, across / lesion.axis_ratio)
    outline *= 1 + rough
    return outline


def _displaced(
    layer: np.ndarray,
    tumor: Tumor,
    x: np.ndarray,
    y: np.ndarray,
    distance: np.ndarray,
    rho: np.ndarray,
) -> np.ndarray:
    """A layer after the mass effect, which displaces the brain and not the skull.

    Args:
        x, y, distance: offset and distance from the tumor's center, in its radii.
    """
    displacement = np.float32(tumor.mass_effect) * np.clip(1 - distance / REACH, 0, 1) ** 2
    displacement *= np.clip((1 - rho) * 5, 0, 1)
    shift = displacement / np.maximum(distance, 0.3) * np.float32(tumor.body.radius)
    columns, rows = (
        to_canvas(axis - shift * part) for axis, part in zip(grid(), (x, y), strict=True)
    )
    moved = cv2.remap(layer, columns, rows, cv2.INTER_LINEAR)
    # Interpolation is not exact at whole pixels, and tissue that stays must stay unchanged.
    return np.where(displacement > 0, moved, layer)
