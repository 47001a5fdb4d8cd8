"""What masks outline in the plain views of a dataset: how much of each cell is tumor."""

from __future__ import annotations

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.masks import Masks, read_masks
from falx.data.read import read_slices
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
    table, tumors = usable.table, np.flatnonzero(usable.labels == 1)
    indices, frames = (table[name].to_numpy(np.int64) for name in ("index", "frames"))
    for positions in table.iloc[tumors].groupby("path", sort=False).indices.values():
        rows = tumors[positions].tolist()
        masks = _masks(usable, table.iloc[rows[0]])
        if masks is None:
            continue
        slices = {slice_.index: slice_ for slice_ in read_slices(usable.file(rows[0]))}
        for row in rows:
            slice_, count = slices[indices[row]], int(frames[row])
            mask = masks.outline(slice_.index, slice_.uid, slice_.pixels.shape, count)
            if mask is None:
                continue
            _, region = render_with_region(slice_.pixels, rendering, usable.head(row))
            covers[row], outlined[row] = cells(shown_in(region, mask, rendering.size)), True
    return covers, outlined


def _masks(usable: Catalog, entry: pd.Series) -> Masks | None:
    """The masks of a file, if any."""
    if not entry["mask"]:
        return None
    return read_masks(usable.root, str(entry["mask"]), plane=str(entry["plane"]))
