"""A view is a function of the slice's content, its index and the augmentation alone."""

import shutil

import numpy as np
import pytest

from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.errors import BadInput
from falx.image.render import render
from falx.recipe import Augmentation, Rendering
from falx.training.disk_cache import DiskCache
from falx.training.views import CORRUPTED, PLAIN, plain_digest, render_views
from small_scans import head, tumor, write_nifti

RENDERING = Rendering(size=64)
AUGMENTATION = Augmentation(rotation=20, shift_x=0.1)


@pytest.fixture(scope="module")
def catalog(phantoms):
    return build_catalog(phantoms).usable()


@pytest.fixture
def cache(tmp_path):
    return DiskCache(tmp_path / "cache", 1)


def test_plain_views_are_the_renderings_in_the_catalogs_order(catalog, cache):
    views = render_views(catalog, RENDERING, cache, AUGMENTATION)
    assert len(views) == len(catalog)
    for row in (0, 17, len(catalog) - 1):
        expected = render(read_slices(catalog.file(row))[0].pixels, RENDERING)
        np.testing.assert_array_equal(views.take(PLAIN, np.array([row]))[0], expected)


def test_a_second_rendering_decodes_nothing(catalog, cache, monkeypatch):
    first = render_views(catalog, RENDERING, cache, AUGMENTATION)
    monkeypatch.setattr("falx.training.views.read_slices", None)
    again = render_views(catalog, RENDERING, cache, AUGMENTATION)
    np.testing.assert_array_equal(again.plain, first.plain)
    assert again.digest == first.digest


def test_an_index_determines_the_view(catalog, cache):
    views, rows = render_views(catalog, RENDERING, cache, AUGMENTATION), np.arange(5)
    np.testing.assert_array_equal(views.take(1, rows), views.take(1, rows))
    assert (views.take(1, rows) != views.take(2, rows)).any()
    np.testing.assert_array_equal(views.take(1, rows[::-1]), views.take(1, rows)[::-1])


def test_a_corrupted_view_shows_the_plain_one_changed_by_the_content_alone(catalog, cache):
    views, rows = render_views(catalog, RENDERING, cache, AUGMENTATION), np.arange(20)
    corrupted = views.take(CORRUPTED, rows)
    assert corrupted.dtype == np.uint8
    np.testing.assert_array_equal(corrupted[::-1], views.take(CORRUPTED, rows[::-1]))
    differences = np.abs(corrupted.astype(int) - views.plain[rows]).mean(axis=(1, 2))
    assert (differences > 0.2).mean() > 0.8
    assert differences.max() < 60
    assert len(np.unique(differences.round(3))) > 10


def test_a_view_does_not_depend_on_other_slices_or_their_order(catalog, cache, phantoms, tmp_path):
    fewer = tmp_path / "fewer"
    for file in sorted(phantoms.glob("*/*.png"))[::7]:
        (fewer / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, fewer / file.parent.name / f"renamed-{file.name}")
    other = build_catalog(fewer).usable()
    ours = render_views(catalog, RENDERING, cache, AUGMENTATION)
    theirs = render_views(other, RENDERING, cache, AUGMENTATION)
    places = {sha: row for row, sha in enumerate(catalog.table["sha256"])}
    rows = np.array([places[sha] for sha in other.table["sha256"]])
    np.testing.assert_array_equal(theirs.take(3, np.arange(len(other))), ours.take(3, rows))


@pytest.mark.parametrize(
    ("rendering", "augmentation"),
    [
        (Rendering(size=64, crop="none"), AUGMENTATION),
        (RENDERING, Augmentation(rotation=21, shift_x=0.1)),
        (RENDERING, Augmentation(rotation=20, shift_x=0.1, seed=1)),
    ],
)
def test_whatever_changes_a_view_changes_the_digest(catalog, cache, rendering, augmentation):
    one, other = (
        render_views(catalog, *arguments)
        for arguments in ((RENDERING, cache, AUGMENTATION), (rendering, cache, augmentation))
    )
    assert one.digest != other.digest
    assert (one.take(1, np.arange(5)) != other.take(1, np.arange(5))).any()


def test_a_cache_too_small_for_the_views_gives_advice(catalog, tmp_path):
    with pytest.raises(BadInput, match=r"no room; raise --cache-gb to at least 0\.1"):
        render_views(catalog, RENDERING, DiskCache(tmp_path, 1e-5), AUGMENTATION)


def test_a_file_whose_content_changed_is_named(phantoms, tmp_path, cache):
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    catalog = build_catalog(folder).usable()
    shutil.copy(catalog.file(4), catalog.file(3))
    with pytest.raises(BadInput, match="changed while falx was using it; run again"):
        render_views(catalog, RENDERING, cache, AUGMENTATION)


def test_a_file_that_lost_its_slice_is_named(phantoms, tmp_path, cache):
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    catalog = build_catalog(folder).usable()
    catalog.table.loc[3, "index"] = 5
    with pytest.raises(BadInput, match="changed while falx was using it; run again"):
        render_views(catalog, RENDERING, cache, AUGMENTATION)


def test_gray_level_transforms_leave_the_warp_unchanged(catalog, cache):
    inverted = AUGMENTATION.model_copy(update={"invert": 1.0})
    plain, negative = (
        render_views(catalog, RENDERING, cache, each) for each in (AUGMENTATION, inverted)
    )
    rows = np.arange(5)
    np.testing.assert_array_equal(negative.take(1, rows), 255 - plain.take(1, rows))
    np.testing.assert_array_equal(negative.take(PLAIN, rows), plain.take(PLAIN, rows))


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A catalog of one volume."""
    folder = tmp_path_factory.mktemp("volume")
    write_nifti(folder / "P1" / "t1.nii", head((48, 56, 20)), (1, 1, 5))
    write_nifti(folder / "P1" / "t1_mask.nii", tumor((48, 56, 20)).astype(np.uint8), (1, 1, 5))
    return build_catalog(folder).usable()


def test_slices_of_a_volume_are_rendered_by_its_one_box(volume, cache):
    views = render_views(volume, RENDERING, cache)
    slices = {each.index: each for each in read_slices(volume.file(0))}
    boxes = {volume.head(row) for row in range(len(volume))}
    assert len(boxes) == 1
    indices = volume.table["index"].tolist()
    by_volume = [render(slices[index].pixels, RENDERING, *boxes) for index in indices]
    alone = [render(slices[index].pixels, RENDERING) for index in indices]
    np.testing.assert_array_equal(views.plain, by_volume)
    assert (np.stack(by_volume)[-1] != alone[-1]).any()


def test_another_box_is_another_view(volume, cache):
    other = volume.usable()
    other.table["head_top"] += 5
    assert plain_digest(other, RENDERING) != plain_digest(volume, RENDERING)
    first, second = (render_views(each, RENDERING, cache) for each in (volume, other))
    assert (first.plain != second.plain).any()
