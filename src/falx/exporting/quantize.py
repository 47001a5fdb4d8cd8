"""A network made ready for 8 bits, once for all formats; each then rounds activations itself.

Activations are given the range that calibration views span, in 255 even steps. Means of ranges,
quantiles and corrections of biases were tried and moved probabilities more (docs/edge.md).
"""

from __future__ import annotations

import keras
import numpy as np

from falx.exporting.equalize import equalized
from falx.exporting.kernels import with_rounded_kernels


def prepared(network: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy that computes the same up to the rounding of its kernels to 8 bits.

    Args:
        network: as `build_network` made it.
        views: uint8 (n, size, size), of training slices.
    """
    return with_rounded_kernels(equalized(network, views), views)
