"""From parameters to a slice of a procedural head."""

from __future__ import annotations

import cv2
import numpy as np

from falx.phantoms.acquisition import develop, measure
from falx.phantoms.procedural.anatomy import paint_head, radial_distance
from falx.phantoms.procedural.lesions import add_mimic, add_tumor
from falx.phantoms.procedural.parameters import Parameters
from falx.phantoms.procedural.placement import sampling_map
from falx.phantoms.procedural.planes import PLANES


def paint(parameters: Parameters, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A slice as it is stored, and the mask of its tumor: uint8 and bool (size, size)."""
    head, acquisition, tumor = parameters.head, parameters.acquisition, parameters.tumor
    levels = parameters.levels
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
    return develop(measure(image, acquisition), parameters.placement.marks), mask > 0.5
