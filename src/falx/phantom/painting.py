"""From parameters to a synthetic slice."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from falx.errors import BadInput
from falx.phantom.acquisition import acquire, sampling_map
from falx.phantom.anatomy import paint_head, radial_distance
from falx.phantom.lesions import add_mimic, add_tumor
from falx.phantom.parameters import Parameters
from falx.phantom.planes import PLANES

MIN_SIZE = 64


@dataclass(frozen=True)
class Phantom:
    """A synthetic slice.

    Attributes:
        pixels: uint8 (height, width).
        mask: the tumor without its edema, bool (height, width); all False without one.
        label: "no" or "yes".
        parameters: of the slice.
    """

    pixels: np.ndarray
    mask: np.ndarray
    label: str
    parameters: Parameters


def paint(parameters: Parameters, size: int = 224) -> Phantom:
    """The phantom of the parameters, deterministically.

    Raises:
        BadInput: `size` is too small.
    """
    check_size(size)
    head, acquisition, tumor = parameters.head, parameters.acquisition, parameters.tumor
    levels = acquisition.levels
    rho = radial_distance(head)
    image, white = paint_head(head, levels, rho)
    for mimic in head.mimics:
        image = add_mimic(mimic, levels, rho, image)
    mask = np.zeros_like(image)
    if tumor is not None:
        image, mask = add_tumor(tumor, head, levels, rho, image, white)
    maps = sampling_map(parameters.placement, PLANES[head.plane].rotation, size)
    # OpenCV interpolates float64 differently, so a stray one would give the tumor away.
    assert image.dtype == np.float32
    image, mask = (cv2.remap(layer, *maps, cv2.INTER_LINEAR) for layer in (image, mask))
    label = "no" if tumor is None else "yes"
    pixels = acquire(image, acquisition, parameters.placement)
    return Phantom(pixels, mask > 0.5, label, parameters)


def check_size(size: int) -> None:
    if size < MIN_SIZE:
        raise BadInput(f"`size` must be at least {MIN_SIZE} pixels, got {size}.")
