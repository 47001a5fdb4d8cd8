"""Covers say how much of each cell of a view is tumor, by masks that are read once."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from falx.data import outlines
from falx.data.catalog import build_catalog
from falx.data.mask_rule import MaskRule
from falx.data.masks import read_masks
from falx.errors import UnreadableImage
from falx.evaluation.mask_checks import attach_masks
from falx.phantoms import write_phantoms
from falx.recipe import Rendering
from falx.training.covers import render_covers

RENDERING = Rendering(size=64, crop="none", aspect="keep")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Four phantoms with a tumor, whose masks are known, and four without."""
    folder = tmp_path_factory.mktemp("covered") / "slices"
    write_phantoms(folder, 8, seed=4, size=64)
    masks = folder.with_name(f"{folder.name}-masks")
    return attach_masks(build_catalog(folder), masks, MaskRule()).usable()


def test_a_cover_is_the_fraction_of_each_cell_that_its_mask_outlines(catalog):
    covers, outlined = render_covers(catalog, RENDERING)
    assert outlined.all()
    for row in range(len(catalog)):
        expected = np.zeros((8, 8))
        if catalog.labels[row] == 1:
            file = str(catalog.root / catalog.table["mask"].iat[row])
            stored = cv2.imread(file, cv2.IMREAD_GRAYSCALE) > 0
            expected = stored.reshape(8, 8, 8, 8).mean(axis=(1, 3))
            assert expected.any()
        np.testing.assert_allclose(covers[row], expected, atol=1e-6)


def test_without_a_mask_the_cover_of_a_tumor_is_unknown(catalog):
    tumors = np.flatnonzero(catalog.labels == 1)
    table = catalog.table.copy()
    table.loc[tumors[0], "mask"] = ""
    covers, outlined = render_covers(replace(catalog, table=table), RENDERING)
    assert np.flatnonzero(~outlined).tolist() == [tumors[0]]
    assert not covers[tumors[0]].any()
    assert covers[tumors[1]].any()


def test_a_mask_that_files_share_is_read_once_though_others_lie_between(catalog, monkeypatch):
    tumors = np.flatnonzero(catalog.labels == 1)
    table = catalog.table.copy()
    first, second = table.loc[tumors[:2], "mask"]
    table.loc[tumors, "mask"] = [first, second, first, second]
    read = []

    def counted(root, cell, *, plane):
        read.append(cell)
        return read_masks(root, cell, plane=plane)

    monkeypatch.setattr(outlines, "read_masks", counted)
    covers, _ = render_covers(replace(catalog, table=table), RENDERING)
    assert read == [first, second]
    np.testing.assert_array_equal(covers[tumors[0]], covers[tumors[2]])
    assert (covers[tumors[0]] != covers[tumors[1]]).any()


def test_a_file_that_has_lost_slices_is_named(catalog):
    tumors = np.flatnonzero(catalog.labels == 1)
    table = catalog.table.copy()
    table.loc[tumors[0], "index"] = 3
    file = catalog.file(int(tumors[0])).name
    with pytest.raises(
        UnreadableImage, match=rf"{file}' no longer holds its slice 4; it has changed"
    ):
        render_covers(replace(catalog, table=table), RENDERING)
