"""From parameters to the pixels of a synthetic slice."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from falx.data.phantom.anatomy import depth, paint_head
from falx.data.phantom.exposure import expose, place
from falx.data.phantom.lesions import add_mimic, add_tumor
from falx.data.phantom.parameters import Parameters
from falx.data.phantom.planes import PLANES
from falx.errors import BadInput

LEAST_SIZE = 64


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
    head, look, tumor = parameters.head, parameters.look, parameters.tumor
    rho = depth(head)
    image, white = paint_head(head, look, rho)
    for mimic in head.mimics:
        image = add_mimic(mimic, look, rho, image)
    mask = np.zeros_like(image)
    if tumor is not None:
        image, mask = add_tumor(tumor, head, look, rho, image, white)
    maps = place(parameters.placement, PLANES[head.plane].turn, size)
    # OpenCV interpolates float64 differently, so that a stray one would give the tumor away.
    assert image.dtype == np.float32
    image, mask = (cv2.remap(layer, *maps, cv2.INTER_LINEAR) for layer in (image, mask))
    label = "no" if tumor is None else "yes"
    pixels = expose(image, look, parameters.placement)
    return Phantom(pixels, mask > 0.5, label, parameters)


def check_size(size: int) -> None:
    if size < LEAST_SIZE:
        raise BadInput(f"`size` must be at least {LEAST_SIZE} pixels, got {size}.")
