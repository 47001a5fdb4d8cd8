"""The slices of a catalog with what masks outline in them, read file by file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.data.catalog import Catalog
from falx.data.masks import Masks, read_masks
from falx.data.read import read_slices
from falx.data.slices import Slice
from falx.errors import UnreadableImage


@dataclass(frozen=True, eq=False)
class OutlinedFile:
    """Slices of one image file, and its masks.

    Attributes:
        path: of the file.
        slices: by their row of the catalog.
        masks: None where it has none.
    """

    path: Path
    slices: Mapping[int, Slice]
    masks: Masks | None

    def outline(self, row: int) -> np.ndarray | None:
        """Where a slice shows a tumor, bool (height, width); None where no mask covers it.

        Raises:
            UnreadableImage: a mask is of another size than its image.
        """
        if self.masks is None:
            return None
        slice_ = self.slices[row]
        return self.masks.outline(slice_.index, slice_.uid, slice_.pixels.shape, slice_.frames)


def outlined_files(catalog: Catalog, rows: np.ndarray) -> Iterator[OutlinedFile]:
    """Read the files of some rows with their masks, in order of the first row of each.

    Masks that successive files share are read once (see `sorted_by_masks`).

    Args:
        rows: of usable slices, int (rows,).

    Raises:
        UnreadableImage: a file or a mask can't be read, or a file has changed since it was
            cataloged.
    """
    table = catalog.table.iloc[rows].assign(row=rows)
    named, masks = "", None
    for path, of_file in table.groupby("path", sort=False):
        file = catalog.root / str(path)
        slices = {each.index: each for each in read_slices(file)}
        cell, plane = map(str, of_file[["mask", "plane"]].fillna("").iloc[0])
        if f"{cell}\n{plane}" != named:
            named, masks = f"{cell}\n{plane}", None
            if cell:
                masks = read_masks(catalog.root, cell, plane=plane)
        indices = of_file["index"].astype(int).tolist()
        missing = set(indices) - set(slices)
        if missing:
            raise UnreadableImage(
                f"'{file}' no longer holds its slice {min(missing) + 1}; it has changed since it "
                "was cataloged: run the command again."
            )
        pairs = zip(of_file["row"].tolist(), indices, strict=True)
        yield OutlinedFile(file, {row: slices[index] for row, index in pairs}, masks)


def sorted_by_masks(catalog: Catalog, rows: np.ndarray) -> np.ndarray:
    """Rows in an order in which files that share masks, as those of a segmentation do, succeed.

    Args:
        rows: int (rows,).
    """
    shared = catalog.table.iloc[rows].groupby(["mask", "plane"], sort=False, dropna=False)
    return rows[shared.ngroup().to_numpy().argsort(kind="stable")]
