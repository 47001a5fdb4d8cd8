"""How much tumor a slice must show, by its mask, to count as one with a tumor."""

from __future__ import annotations

import math
from dataclasses import dataclass

from falx.errors import BadInput


@dataclass(frozen=True)
class MaskRule:
    """When a slice counts as one with a tumor, by its mask.

    A slice with less tumor than `tumor_area`, or without any but nearer to a slice with tumor than
    `tumor_margin`, is neither: its label would be a matter of a few pixels or of partial volume.

    Attributes:
        tumor_area: at least this, in mm2 (in pixels, where their size is unknown), is a tumor.
        tumor_margin: along the normal of the slices, in mm.
    """

    tumor_area: float = 20.0
    tumor_margin: float = 0.0

    def __post_init__(self) -> None:
        for name in ("tumor_area", "tumor_margin"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadInput(f"`{name}` must be a number of at least 0, got {value}.")
