"""In how many bits an exported network computes, or is stored."""

from __future__ import annotations

from typing import Literal

Precision = Literal["fp32", "fp16", "int8", "int8-weights"]
"""What the weights and activations of an export are.

- fp32: float32 throughout.
- fp16: weights stored in float16; where the runtime can, it computes in float16 too.
- int8: weights and activations in 8 bits.
- int8-weights: weights in 8 bits and activations in float32: as small as int8, as slow as fp32.
  LiteRT rounds activations too where it computes, by the range of each batch.
"""

EIGHT_BITS: tuple[Precision, ...] = ("int8", "int8-weights")
