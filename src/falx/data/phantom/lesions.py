"""What is not as it should be: tumors, and lesions that are none."""

from __future__ import annotations

import math

import cv2
import numpy as np

from falx.data.phantom.canvas import grid, inside, over, smooth, to_canvas
from falx.data.phantom.parameters import Head, Lesion, Look, Tumor

REACH = 2.2
"""Nothing is changed by a tumor farther from its center than so many of its radii."""


def add_mimic(lesion: Lesion, look: Look, rho: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The image with a lesion in it that is no tumor: nothing around it gives way.

    Args:
        rho: distance from the center of the brain, 1 on its surface.
    """
    level, brain = look.levels, inside(rho, 1) * np.float32(lesion.contrast)
    outline = _outline(lesion, *_offsets(lesion))
    body = inside(outline * lesion.radius, lesion.radius) * brain
    halo = np.clip((1.5 - outline) * 2, 0, 1) * brain
    match lesion.kind:
        case "gliosis":
            return over(image, level["gliosis"], halo)
        case "infarct":
            return over(over(image, level["gliosis"], 0.7 * halo), level["infarct"], body)
        case "hemorrhage":
            rim = inside(outline * lesion.radius, 1.15 * lesion.radius) * brain
            texture = 1 + 0.12 * smooth(lesion.seed, 2, 40)
            return over(over(image, level["bone"], rim), level["blood"] * texture, body)
        case _:
            return over(image, level["cyst"], body)


def add_tumor(
    tumor: Tumor, head: Head, look: Look, rho: np.ndarray, image: np.ndarray, white: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The image with the tumor in it, and the tumor's share of each pixel."""
    lesion, level = tumor.body, look.levels
    radius, contrast = lesion.radius, lesion.contrast
    x, y = _offsets(lesion)
    away = cv2.magnitude(x, y)
    image, white = (_pushed(layer, tumor, x, y, away, rho) for layer in (image, white))
    outline = _outline(lesion, x, y)
    surface = 1 + head.rim * (lesion.kind != "glioma")
    within = np.clip(2.5 * (REACH - away), 0, 1) * inside(rho, surface)
    body = inside(outline * radius, radius) * within
    texture = smooth(lesion.seed, 2, 48)
    if tumor.edema:
        fingers = np.clip((tumor.edema - outline) * 3, 0, 1) * within
        image = over(image, level["edema"], contrast * fingers * (0.15 + 0.8 * white))
    solid = level["ring"] if tumor.necrosis else level[lesion.kind]
    image = over(image, solid * (1 + 0.08 * texture), contrast * body)
    if tumor.necrosis:
        # A rim of uneven width, as the living margin of a tumor has.
        ragged = tumor.necrosis + 0.08 * texture + 0.12 * smooth(lesion.seed, 3, 14)
        core = inside(outline * radius, np.minimum(ragged, 0.93) * radius) * body
        image = over(image, level["necrosis"] * (1 + 0.1 * texture), contrast * core)
    return image, body


def _offsets(lesion: Lesion) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of the canvas from a lesion's center, in its radii."""
    x, y = grid()
    return (x - lesion.x) / np.float32(lesion.radius), (y - lesion.y) / np.float32(lesion.radius)


def _outline(lesion: Lesion, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A field that is 1 on the lesion's border and less within."""
    turn = math.radians(lesion.turn)
    sine, cosine = math.sin(turn), math.cos(turn)
    along, across = cosine * x + sine * y, cosine * y - sine * x
    coarse, fine = (
        smooth(lesion.seed, k, max(4, round(cells / lesion.radius)))
        for k, cells in enumerate((3, 9))
    )
    rough = (lesion.roughness * (coarse + 0.4 * fine)).clip(-0.6, 0.6)
    outline: np.ndarray = cv2.magnitude(along * lesion.stretch, across / lesion.stretch)
    outline *= 1 + rough
    return outline


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
    give = np.float32(tumor.push) * np.clip(1 - away / REACH, 0, 1) ** 2
    give *= np.clip((1 - rho) * 5, 0, 1)
    shift = give / np.maximum(away, 0.3) * np.float32(tumor.body.radius)
    columns, rows = (
        to_canvas(axis - shift * part) for axis, part in zip(grid(), (x, y), strict=True)
    )
    moved = cv2.remap(layer, columns, rows, cv2.INTER_LINEAR)
    # Interpolation at whole pixels is not exact, and what is not pushed must stay as it was.
    return np.where(give > 0, moved, layer)
