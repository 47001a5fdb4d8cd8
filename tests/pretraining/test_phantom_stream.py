"""The stream of phantoms is reproducible, and its targets are correct."""

from __future__ import annotations

import multiprocessing
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from numpy.random import default_rng

from falx.phantom import KINDS, MIMICS, PLANE_NAMES, draw, paint
from falx.pretraining.phantom_stream import Batch, augment_batch, draw_batch, stream


def same(one: Batch, other: Batch) -> bool:
    targets = (np.array_equal(one.targets[task], other.targets[task]) for task in one.targets)
    return np.array_equal(one.views, other.views) and all(targets)


def as_image(tumor_map: np.ndarray) -> np.ndarray:
    """The cells of a slice as an image: (12, 12)."""
    return tumor_map.reshape(3, 3, 4, 4).transpose(0, 2, 1, 3).reshape(12, 12)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return draw_batch((5, 0), 40, 96)


class TestDrawBatch:
    def test_a_seed_determines_a_batch(self) -> None:
        assert same(draw_batch((1, 2), 3, 64), draw_batch((1, 2), 3, 64))
        assert not same(draw_batch((1, 2), 3, 64), draw_batch((1, 3), 3, 64))

    def test_arrays_are_as_documented(self, batch: Batch) -> None:
        assert (batch.views.shape, batch.views.dtype) == ((40, 96, 96), np.uint8)
        shapes = {task: values.shape for task, values in batch.targets.items()}
        assert shapes == {
            "tumor": (40, 1),
            "kind": (40, 1 + len(KINDS)),
            "tumor_map": (40, 3, 3, 16),
            "mimics": (40, len(MIMICS)),
            "appearance": (40, 6),
            "plane": (40, len(PLANE_NAMES)),
        }
        assert all(values.dtype == np.float32 for values in batch.targets.values())

    def test_every_second_phantom_has_a_tumor(self, batch: Batch) -> None:
        np.testing.assert_array_equal(batch.targets["tumor"][:, 0], [0, 1] * 20)

    def test_kind_and_tumor_map_are_set_exactly_where_there_is_a_tumor(self, batch: Batch) -> None:
        tumor = batch.targets["tumor"][:, 0]
        np.testing.assert_array_equal(batch.targets["kind"][:, 0], 1 - tumor)
        np.testing.assert_array_equal(batch.targets["tumor_map"].any(axis=(1, 2, 3)), tumor > 0)
        assert batch.targets["tumor_map"].max() <= 1 + 1e-6

    def test_cells_hold_the_fraction_of_tumor_in_the_mask(self, batch: Batch) -> None:
        compared = 0
        for i in range(1, 40, 2):
            rng = default_rng((5, 0, i))
            if rng.random() < 0.5:  # Cropped to the head.
                continue
            mask = paint(draw(rng, True), 96).mask
            expected = mask.reshape(12, 8, 12, 8).mean(axis=(1, 3))
            np.testing.assert_allclose(as_image(batch.targets["tumor_map"][i]), expected, atol=1e-6)
            compared += 1
        assert compared > 5

    def test_exclusive_targets_are_one_hot(self, batch: Batch) -> None:
        for task in ("kind", "plane", "appearance"):
            np.testing.assert_array_equal(batch.targets[task].sum(axis=1), 1)

    def test_some_views_are_cropped_to_the_head_and_some_show_the_whole_slice(
        self, batch: Batch
    ) -> None:
        dark = (batch.views < 20).mean(axis=(1, 2))
        assert np.quantile(dark, 0.25) < np.quantile(dark, 0.75) - 0.1


class TestAugmentBatch:
    def test_the_tumor_map_of_a_flipped_view_is_flipped(self, batch: Batch) -> None:
        """Views that show the cells of the tumor map still do after augmentation."""
        tumor_map = (batch.targets["tumor_map"] > 0.5).astype(np.float32)
        views = np.stack([np.kron(as_image(each), np.ones((8, 8))) for each in tumor_map])
        original = Batch((255 * views).astype(np.uint8), {"tumor_map": tumor_map})
        unchanged = set()
        for seed in range(20):
            other = augment_batch(original, default_rng(seed))
            unchanged.add(np.array_equal(other.views, original.views))
            shown = other.views.reshape(40, 12, 8, 12, 8).max(axis=(2, 4)) / 255
            expected = np.stack([as_image(each) for each in other.targets["tumor_map"]])
            np.testing.assert_array_equal(shown, expected)
        assert unchanged == {True, False}

    def test_gray_levels_keep_their_order_black_and_white(self) -> None:
        ramp = np.tile(np.arange(256, dtype=np.uint8), (2, 256, 1))
        one = Batch(ramp, {"tumor_map": np.zeros((2, 8, 8, 16), np.float32)})
        for seed in range(10):
            view = augment_batch(one, default_rng(seed)).views.astype(int)
            steps = np.diff(view, axis=2)
            assert (steps >= 0).all() or (steps <= 0).all()
            assert {int(view.min()), int(view.max())} == {0, 255}


class TestStream:
    def test_processes_draw_the_batches_in_order(self) -> None:
        drawn = list(stream((3, 0), [64, 64, 96], batch_size=2, prefetch=2))
        expected = [draw_batch((3, 0, n), 2, size) for n, size in enumerate((64, 64, 96))]
        assert all(same(*pair) for pair in zip(drawn, expected, strict=True))

    def test_a_stream_can_start_in_the_middle(self) -> None:
        drawn = list(stream((3, 0), [64] * 5, batch_size=2, prefetch=4, start=3))
        assert len(drawn) == 2
        assert same(drawn[0], draw_batch((3, 0, 3), 2, 64))

    def test_a_stream_can_be_closed_before_its_end(self) -> None:
        with closing(stream((3, 0), [64] * 1000, batch_size=2, prefetch=4)) as drawn:
            assert len(list(islice(drawn, 2))) == 2
        assert multiprocessing.active_children() == []
