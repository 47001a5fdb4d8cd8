"""Eight-bit networks: kernels made ready once for all formats, activations measured by NNCF.

Activations are given the range that calibration views span, in 255 even steps. Means of ranges,
quantiles and corrections of biases were tried and moved probabilities more (docs/edge.md).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from falx.export.equalize import equalized
from falx.export.kernels import with_rounded_kernels


def prepared(network: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy that computes the same up to the rounding of its kernels to 8 bits.

    Args:
        network: as `build_network` made it.
        views: uint8 (n, size, size), of training slices.
    """
    return with_rounded_kernels(equalized(network, views), views)


def quantized(model: Any, inputs: Sequence[Any]) -> Any:
    """A model of OpenVINO or ONNX with weights and activations in 8 bits.

    Args:
        model: of a network that `prepared` gave.
        inputs: what to measure activations on, as the model takes it.
    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(
        model,
        nncf.Dataset(inputs),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        advanced_parameters=AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            disable_bias_correction=True,
        ),
    )
