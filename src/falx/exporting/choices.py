"""The targets and precisions of exports."""

from __future__ import annotations

from typing import Literal, get_args

Target = Literal["openvino", "onnx", "litert", "web"]
"""A format of falx.exporting.formats, or a web page that runs ONNX in the browser."""

ExportPrecision = Literal["fp32", "fp16", "int8", "int8-weights"]
"""The precision of an export's weights and activations.

- fp32: float32 throughout.
- fp16: weights stored in float16; the runtime chooses the precision of its arithmetic.
- int8: weights and activations in 8 bits.
- int8-weights: weights in 8 bits and activations in float32; as small as int8, as slow as fp32.
  LiteRT also quantizes activations, dynamically by the range of each batch.
"""

TARGETS: tuple[Target, ...] = get_args(Target)
PRECISIONS: tuple[ExportPrecision, ...] = get_args(ExportPrecision)
EIGHT_BITS: tuple[ExportPrecision, ...] = ("int8", "int8-weights")
