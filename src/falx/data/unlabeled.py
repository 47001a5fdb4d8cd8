"""A catalog of slices whose labels are unknown."""

from __future__ import annotations

from pathlib import Path

from falx.data.catalog import Catalog, grouped, read_rows
from falx.data.mask_pairs import pair_masks, pair_segmentations
from falx.data.read import find_files
from falx.data.sources import Entry
from falx.errors import BadInput
from falx.progress import Listener, silent

UNLABELED = "unlabeled"
"""The class of all slices."""


def unlabeled_catalog(folder: Path, *, listener: Listener = silent) -> Catalog:
    """Every slice in a folder; files that are masks by their names or contents are left out.

    What lies in one subfolder of it is of one patient, unless the image's tags say more.

    Raises:
        BadInput: it is no folder, or holds no file.
        UnusableData: no slice can be used.
    """
    if not folder.is_dir():
        raise BadInput(f"'{folder}' is no folder; name one that holds the unlabeled images.")
    files = find_files([folder])
    masks = pair_masks(folder, files)[1] | pair_segmentations(files)[1]
    entries = [_entry(folder, file) for file in files if file not in masks]
    if not entries:
        raise BadInput(f"There is no image in '{folder}'; name a folder that holds some.")
    table = read_rows(folder, folder.absolute(), entries, listener=listener)
    return grouped(folder.absolute(), (UNLABELED,), table)


def _entry(folder: Path, file: Path) -> Entry:
    above = file.relative_to(folder).parts[:-1]
    return Entry(file.absolute(), UNLABELED, folder=above[0] if above else "")
