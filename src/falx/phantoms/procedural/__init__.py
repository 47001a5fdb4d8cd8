"""Procedural heads: painted layer by layer in two dimensions, without any label map.

A slice is painted upright on a canvas, in half-lengths of the brain, then placed (rotated, scaled,
shifted, warped) and acquired.
"""

from falx.phantoms.procedural import painting, parameters

__all__ = ["painting", "parameters"]
