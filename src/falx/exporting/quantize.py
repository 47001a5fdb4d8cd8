"""Preparation of a network for 8 bits, once for all formats; each then quantizes activations.

Activations are quantized over their range on calibration views, in 255 even steps. Mean ranges,
quantiles and bias correction were tried and changed probabilities more (docs/edge.md).
"""

from __future__ import annotations

import keras
import numpy as np

from falx.exporting.equalize import equalized
from falx.exporting.kernels import with_rounded_kernels


def prepared(network: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy that differs only in the rounding of its kernels to 8 bits.

    Args:
        network: as returned by `build_network`.
        views: uint8 (n, size, size), of training slices.
    """
    return with_rounded_kernels(equalized(network, views), views)
