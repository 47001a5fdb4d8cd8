"""What masks outline in the plain views of a dataset: how much of each cell is tumor."""

from __future__ import annotations

import numpy as np

from falx.data.catalog import Catalog
from falx.data.outlines import outlined_files, sorted_by_masks
from falx.image.render import render_with_region, shown_in
from falx.model.cells import STRIDE, cells
from falx.recipe import Rendering


def render_covers(usable: Catalog, rendering: Rendering) -> tuple[np.ndarray, np.ndarray]:
    """The fraction of each cell of a view that is tumor, and of which slices it is known.

    Args:
        usable: n slices of two classes, the second of which is with a tumor.

    Returns:
        Covers float32 (n, size / 8, size / 8), zero where unknown, and bool (n,). Slices without a
        tumor need no mask.

    Raises:
        UnreadableImage: a file changed, or a mask can't be used.
    """
    side = rendering.size // STRIDE
    covers = np.zeros((len(usable), side, side), np.float32)
    outlined = usable.labels == 0
    masked = np.flatnonzero((usable.labels == 1) & (usable.table["mask"] != "").to_numpy())
    for file in outlined_files(usable, sorted_by_masks(usable, masked)):
        for row, slice_ in file.slices.items():
            outline = file.outline(row)
            if outline is None:
                continue
            _, region = render_with_region(slice_.pixels, rendering, usable.head(row))
            covers[row], outlined[row] = cells(shown_in(region, outline, rendering.size)), True
    return covers, outlined
