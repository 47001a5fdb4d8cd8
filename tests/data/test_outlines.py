"""Files of a catalog are read once, each slice with what its masks outline."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from falx.data import outlines
from falx.data.catalog import build_catalog
from falx.data.mask_rule import MaskRule
from falx.data.outlines import outlined_files
from falx.errors import UnreadableImage
from falx.evaluation.mask_checks import attach_masks
from falx.phantoms import write_phantoms


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Three phantoms with a tumor, whose masks are known, and three without."""
    folder = tmp_path_factory.mktemp("outlined") / "slices"
    write_phantoms(folder, 6, seed=3, size=64)
    masks = folder.with_name(f"{folder.name}-masks")
    return attach_masks(build_catalog(folder), masks, MaskRule()).usable()


def test_each_row_comes_once_in_order_with_its_outline(catalog):
    rows = np.array([4, 0, 5, 1, 3, 2])
    seen = []
    for file in outlined_files(catalog, rows):
        for row, slice_ in file.slices.items():
            seen.append(row)
            entry, outline = catalog.table.iloc[row], file.outline(row)
            assert file.path == slice_.path == catalog.file(row)
            assert (outline is None) == (entry["mask"] == "")
            if outline is not None:
                stored = cv2.imread(str(catalog.root / entry["mask"]), cv2.IMREAD_GRAYSCALE)
                np.testing.assert_array_equal(outline, stored > 0)
                assert outline.any()
    assert seen == rows.tolist()


def test_a_mask_that_successive_files_share_is_read_once(catalog, monkeypatch):
    (first, *_) = catalog.table["mask"][catalog.table["mask"] != ""]
    shared = replace(catalog, table=catalog.table.assign(mask=[first] * 5 + [""]))
    read = []
    monkeypatch.setattr(outlines, "read_masks", lambda root, cell, plane: read.append(cell) or cell)
    files = list(outlined_files(shared, np.arange(6)))
    assert read == [first]
    assert [file.masks for file in files] == [first] * 5 + [None]


def test_a_mask_of_another_size_is_refused(catalog, tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((32, 32), 255, np.uint8))
    wrong = replace(catalog, table=catalog.table.assign(mask=str(tmp_path / "mask.png")))
    (file,) = outlined_files(wrong, np.array([2]))
    with pytest.raises(UnreadableImage, match="slices of 32 x 32 pixels, and its image of 64"):
        file.outline(2)
