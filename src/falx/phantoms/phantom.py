"""A phantom: a synthetic slice with the mask of its tumor, and all that determines it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng

from falx.errors import BadInput
from falx.phantoms import heads, procedural
from falx.phantoms.heads.anatomy import Anatomies

MIN_SIZE = 64

Parameters = procedural.parameters.Parameters | heads.parameters.Parameters


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


def make_phantom(
    seed: int | Sequence[int], *, tumor: bool, size: int = 224, anatomies: Anatomies | None = None
) -> Phantom:
    """The phantom of a seed, `size` pixels square.

    Args:
        anatomies: heads to draw; None for procedural ones.

    Raises:
        BadInput: `size` is too small, or a label map can't be used.
    """
    return paint(draw(default_rng(seed), tumor, anatomies), size, anatomies)


def draw(rng: Generator, tumor: bool, anatomies: Anatomies | None = None) -> Parameters:
    """Random parameters; those of the tumor change no others (see falx.phantoms.heads.parameters).

    Raises:
        BadInput: a label map can't be used.
    """
    if anatomies is None:
        return procedural.parameters.draw(rng, tumor)
    return heads.parameters.draw(rng, anatomies, tumor)


def paint(parameters: Parameters, size: int = 224, anatomies: Anatomies | None = None) -> Phantom:
    """The phantom of the parameters, deterministically.

    Args:
        anatomies: that the parameters were drawn for.

    Raises:
        BadInput: `size` is too small.
    """
    check_size(size)
    if isinstance(parameters, procedural.parameters.Parameters):
        pixels, mask = procedural.painting.paint(parameters, size)
    else:
        assert anatomies is not None
        pixels, mask = heads.painting.paint(parameters, anatomies, size)
    return Phantom(pixels, mask, "yes" if parameters.kind else "no", parameters)


def check_size(size: int) -> None:
    """Check the side of a phantom in pixels.

    Raises:
        BadInput: it is too small.
    """
    if size < MIN_SIZE:
        raise BadInput(f"`size` must be at least {MIN_SIZE} pixels, got {size}.")
