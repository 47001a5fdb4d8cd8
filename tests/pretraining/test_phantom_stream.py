"""The stream of phantoms: the same however it is drawn, and its answers true."""

from __future__ import annotations

import multiprocessing
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from numpy.random import default_rng

from falx.phantom import KINDS, MIMICS, draw, paint
from falx.pretraining.phantom_stream import Batch, augment, draw_batch, stream


def same(one: Batch, other: Batch) -> bool:
    answers = (np.array_equal(one.answers[k], other.answers[k]) for k in one.answers)
    return np.array_equal(one.views, other.views) and all(answers)


def cells(where: np.ndarray) -> np.ndarray:
    """The cells of a slice as they lie: (12, 12)."""
    return where.reshape(3, 3, 4, 4).transpose(0, 2, 1, 3).reshape(12, 12)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return draw_batch((5, 0), 40, 96)


class TestOneBatch:
    def test_a_seed_gives_a_batch(self) -> None:
        assert same(draw_batch((1, 2), 3, 64), draw_batch((1, 2), 3, 64))
        assert not same(draw_batch((1, 2), 3, 64), draw_batch((1, 3), 3, 64))

    def test_arrays_are_as_documented(self, batch: Batch) -> None:
        assert (batch.views.shape, batch.views.dtype) == ((40, 96, 96), np.uint8)
        shapes = {name: answers.shape for name, answers in batch.answers.items()}
        assert shapes == {
            "tumor": (40, 1),
            "kind": (40, 1 + len(KINDS)),
            "where": (40, 3, 3, 16),
            "mimics": (40, len(MIMICS)),
            "appearance": (40, 6),
            "plane": (40, 6),
        }
        assert all(answers.dtype == np.float32 for answers in batch.answers.values())

    def test_every_second_phantom_has_a_tumor(self, batch: Batch) -> None:
        np.testing.assert_array_equal(batch.answers["tumor"][:, 0], [0, 1] * 20)

    def test_kind_and_place_are_given_exactly_where_there_is_a_tumor(self, batch: Batch) -> None:
        ill = batch.answers["tumor"][:, 0]
        np.testing.assert_array_equal(batch.answers["kind"][:, 0], 1 - ill)
        np.testing.assert_array_equal(batch.answers["where"].any(axis=(1, 2, 3)), ill > 0)
        assert batch.answers["where"].max() <= 1 + 1e-6

    def test_cells_hold_the_share_of_tumor_that_a_mask_gives(self, batch: Batch) -> None:
        compared = 0
        for i in range(1, 40, 2):
            rng = default_rng((5, 0, i))
            if rng.random() < 0.5:  # Cut to the head.
                continue
            mask = paint(draw(rng, True), 96).mask
            expected = mask.reshape(12, 8, 12, 8).mean(axis=(1, 3))
            np.testing.assert_allclose(cells(batch.answers["where"][i]), expected, atol=1e-6)
            compared += 1
        assert compared > 5

    def test_of_exclusive_answers_one_holds(self, batch: Batch) -> None:
        for name in ("kind", "plane", "appearance"):
            np.testing.assert_array_equal(batch.answers[name].sum(axis=1), 1)

    def test_some_views_show_the_head_alone_and_some_the_whole_slice(self, batch: Batch) -> None:
        dark = (batch.views < 20).mean(axis=(1, 2))
        assert np.quantile(dark, 0.25) < np.quantile(dark, 0.75) - 0.1


class TestOtherViews:
    def test_a_mirrored_view_has_its_tumor_where_it_shows(self, batch: Batch) -> None:
        """Views that show nothing but the tumor's cells still do after they are altered."""
        where = (batch.answers["where"] > 0.5).astype(np.float32)
        views = np.stack([np.kron(cells(each), np.ones((8, 8))) for each in where])
        marked = Batch((255 * views).astype(np.uint8), {"where": where})
        seen = set()
        for seed in range(20):
            other = augment(marked, default_rng(seed))
            seen.add(np.array_equal(other.views, marked.views))
            shown = other.views.reshape(40, 12, 8, 12, 8).max(axis=(2, 4)) / 255
            told = np.stack([cells(each) for each in other.answers["where"]])
            np.testing.assert_array_equal(shown, told)
        assert seen == {True, False}

    def test_gray_levels_keep_their_order_black_and_white(self) -> None:
        ramp = np.tile(np.arange(256, dtype=np.uint8), (2, 256, 1))
        one = Batch(ramp, {"where": np.zeros((2, 8, 8, 16), np.float32)})
        for seed in range(10):
            view = augment(one, default_rng(seed)).views.astype(int)
            steps = np.diff(view, axis=2)
            assert (steps >= 0).all() or (steps <= 0).all()
            assert {int(view.min()), int(view.max())} == {0, 255}


class TestStream:
    def test_processes_draw_the_batches_in_order(self) -> None:
        drawn = list(stream((3, 0), [64, 64, 96], batch=2, ahead=2))
        expected = [draw_batch((3, 0, n), 2, size) for n, size in enumerate((64, 64, 96))]
        assert all(same(*pair) for pair in zip(drawn, expected, strict=True))

    def test_a_stream_can_be_taken_up_in_its_middle(self) -> None:
        drawn = list(stream((3, 0), [64] * 5, batch=2, ahead=4, first=3))
        assert len(drawn) == 2
        assert same(drawn[0], draw_batch((3, 0, 3), 2, 64))

    def test_a_stream_can_be_left_before_its_end(self) -> None:
        with closing(stream((3, 0), [64] * 1000, batch=2, ahead=4)) as drawn:
            assert len(list(islice(drawn, 2))) == 2
        assert multiprocessing.active_children() == []
