"""What batches are drawn from, and the processes that draw them."""

from __future__ import annotations

import multiprocessing
import pickle
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from numpy.random import default_rng

from falx.errors import BadInput, UnusableData
from falx.phantoms import find_anatomies, write_volumes
from falx.pretraining.batch import Batch
from falx.pretraining.mixture import Mixture
from falx.pretraining.sources import find_sources, read_source
from falx.pretraining.stream import stream
from falx.recipe import Augmentation, Rendering
from label_maps import write_head

PHANTOMS = Mixture(64, 4)


def same(one: Batch, other: Batch) -> bool:
    targets = (np.array_equal(one.targets[name], other.targets[name]) for name in one.targets)
    return np.array_equal(one.views, other.views) and all(targets)


@pytest.fixture(scope="module")
def anatomies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    write_head(folder / "head.nii.gz")
    return find_anatomies(folder)


@pytest.fixture(scope="module")
def volumes(anatomies, tmp_path_factory):
    """A dataset of four volumes with masks."""
    folder = tmp_path_factory.mktemp("data") / "volumes"
    write_volumes(folder, 4, anatomies, seed=2, size=64)
    return folder


def source_of(folder, cache):
    (catalog,), _ = find_sources([folder])
    return read_source(catalog, cache, Rendering(size=64))


@pytest.fixture(scope="module")
def slices(phantoms, tmp_path_factory):
    """A source of slices whose tumors are not outlined."""
    return source_of(phantoms, tmp_path_factory.mktemp("views"))


@pytest.fixture(scope="module")
def outlined(volumes, tmp_path_factory):
    """A source of volumes whose tumors are."""
    return source_of(volumes, tmp_path_factory.mktemp("views"))


class TestMixture:
    def test_a_seed_determines_a_batch(self) -> None:
        assert same(PHANTOMS.draw((1, 2)), PHANTOMS.draw((1, 2)))
        assert not same(PHANTOMS.draw((1, 2)), PHANTOMS.draw((1, 3)))

    def test_every_second_phantom_has_a_tumor_and_its_outline(self) -> None:
        batch = Mixture(96, 16).draw((5, 0))
        assert batch.views.shape == (16, 96, 96)
        np.testing.assert_array_equal(batch.targets["tumor"][:, 0], [0, 1] * 8)
        assert not batch.targets["tumor_map"][::2].any()
        assert batch.weights["tumor_map"].all()

    def test_whole_heads_are_drawn_where_there_are_label_maps(self, anatomies) -> None:
        batch = Mixture(64, 4, anatomies=anatomies).draw((1,))
        assert not np.array_equal(batch.views, PHANTOMS.draw((1,)).views)

    def test_an_outline_moves_with_its_view(self, outlined) -> None:
        """The views of a source are replaced by its outlines, and then both must agree."""
        mixture = Mixture(
            64, 0, slices=8, sources=(outlined,),
            augmentation=Augmentation(rotation=20, shift_x=0.1, zoom=0.2, flip=True),
        )  # fmt: skip
        shown = Mixture(**{**vars(mixture), "sources": (_ShowingCovers(outlined),)})
        batch = shown.draw((3,))
        drawn = batch.views.reshape(8, 8, 8, 8, 8).mean(axis=(2, 4)) / 255
        np.testing.assert_allclose(drawn, batch.targets["tumor_map"][..., 0], atol=0.05)
        assert (drawn.max(axis=(1, 2)) > 0.1).sum() >= 2

    def test_slices_of_every_source_and_class_are_as_likely(self, slices, outlined) -> None:
        mixture = Mixture(64, 0, slices=40, sources=(slices, outlined))
        batch = mixture.draw((1,))
        np.testing.assert_array_equal(batch.targets["tumor"][:, 0], [0, 1] * 20)
        # Tumors of one source are outlined, and those of the other are not.
        assert 5 < batch.weights["tumor_map"][1::2].sum() < 15
        assert batch.weights["tumor_map"][::2].all()

    def test_lesions_are_implanted_into_slices_without_a_tumor(self, slices) -> None:
        batch = Mixture(64, 0, implants=16, sources=(slices,)).draw((4,))
        assert batch.weights["tumor_map"].all()
        tumors = batch.targets["tumor"][:, 0]
        assert not tumors[::2].any()
        assert tumors[1::2].mean() > 0.5
        np.testing.assert_array_equal(
            batch.targets["tumor_map"].max(axis=(1, 2, 3)) > 0, tumors > 0
        )


class _ShowingCovers:
    """A source whose views are its outlines."""

    def __init__(self, source) -> None:
        self.source = source
        self.views = source.covers

    def __getattr__(self, name):
        return getattr(self.source, name)


class TestSource:
    def test_every_group_is_as_likely_as_any_other(self, slices) -> None:
        rng = default_rng(0)
        picked = [slices.pick(rng, tumor=True) for _ in range(600)]
        assert slices.tumors[picked].all()
        counts = np.bincount(slices.groups[picked])
        assert counts[counts > 0].min() > 600 / len(np.unique(slices.groups)) / 3

    def test_outlines_are_those_of_the_masks(self, outlined) -> None:
        assert outlined.outlined.all()
        covered = np.array([outlined.cover(row).max() > 0.5 for row in range(len(outlined))])
        assert (covered == outlined.tumors).mean() > 0.95

    def test_views_that_are_there_are_taken(self, phantoms, slices, monkeypatch) -> None:
        monkeypatch.setattr("falx.pretraining.sources._render", None)
        again = source_of(phantoms, slices.views_file.parent)
        np.testing.assert_array_equal(again.views, slices.views)

    def test_it_travels_to_other_processes_without_its_pixels(self, slices) -> None:
        assert len(pickle.dumps(slices)) < 20_000
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(slices)).views, slices.views)

    def test_what_is_near_a_dataset_to_validate_on_is_left_out(self, mixed, phantoms) -> None:
        (alone,), _ = find_sources([mixed])
        (beside,), _ = find_sources([mixed], [phantoms])
        assert len(alone) - len(beside) == 5
        assert not beside.table["path"].str.contains("seen").any()

    def test_a_dataset_without_anything_left_is_refused(self, phantoms) -> None:
        with pytest.raises(UnusableData, match="0 slices with a tumor and 0 without are left"):
            find_sources([phantoms], [phantoms])

    def test_a_dataset_without_a_negative_class_is_refused(self, kinds, tmp_path) -> None:
        (tmp_path / "data").mkdir()
        for name in ("glioma", "pituitary"):
            (tmp_path / "data" / name).symlink_to(kinds / name)
        (tmp_path / "data" / "other").symlink_to(kinds / "healthy")
        with pytest.raises(BadInput, match="has no class that means no tumor"):
            find_sources([tmp_path / "data"])


class TestStream:
    def test_processes_draw_the_batches_in_order(self) -> None:
        larger = Mixture(96, 2)
        drawn = list(stream((3, 0), [PHANTOMS, PHANTOMS, larger]))
        expected = [each.draw((3, 0, n)) for n, each in enumerate((PHANTOMS, PHANTOMS, larger))]
        assert all(same(*pair) for pair in zip(drawn, expected, strict=True))

    def test_a_stream_can_start_in_the_middle(self) -> None:
        drawn = list(stream((3, 0), [PHANTOMS] * 5, start=3))
        assert len(drawn) == 2
        assert same(drawn[0], PHANTOMS.draw((3, 0, 3)))

    def test_a_stream_can_be_closed_before_its_end(self) -> None:
        with closing(stream((3, 0), [PHANTOMS] * 1000)) as drawn:
            assert len(list(islice(drawn, 2))) == 2
        assert multiprocessing.active_children() == []
