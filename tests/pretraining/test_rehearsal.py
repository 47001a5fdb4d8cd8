"""Rehearsal: phantoms beside the slices of another dataset."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from falx.pretraining.rehearsal import phantom_batches, phantoms_per_batch
from falx.recipe import Augmentation, Pretraining

CONFIG = Pretraining(seed=3)


class TestNumberOfPhantoms:
    @pytest.mark.parametrize(
        ("batch_size", "fraction", "phantoms"),
        [(32, 0.5, 16), (32, 0.9, 28), (10, 0.5, 4), (32, 0.0, 0)],
    )
    def test_the_fraction_is_rounded_to_pairs(self, batch_size, fraction, phantoms) -> None:
        assert phantoms_per_batch(batch_size, fraction) == phantoms

    @pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 32])
    def test_at_least_one_slice_is_real(self, batch_size) -> None:
        assert batch_size - 2 <= phantoms_per_batch(batch_size, 1.0) < batch_size

    def test_less_than_half_a_pair_is_none(self) -> None:
        assert phantoms_per_batch(8, 0.1) == 0
        assert phantoms_per_batch(1, 0.9) == 0


def drawn(config: Pretraining, sizes: list[int], start: int = 0) -> list[np.ndarray]:
    with closing(phantom_batches(config, sizes, phantoms=2, start=start)) as steps:
        return [batch.views for (batch,) in steps]


def test_the_phantoms_of_a_step_do_not_depend_on_where_the_stream_starts() -> None:
    whole, (last,) = drawn(CONFIG, [64, 64, 96]), drawn(CONFIG, [64, 64, 96], start=2)
    assert [views.shape for views in whole] == [(2, 64, 64), (2, 64, 64), (2, 96, 96)]
    assert not np.array_equal(whole[0], whole[1])
    np.testing.assert_array_equal(whole[2], last)


def test_without_phantoms_each_step_is_empty() -> None:
    assert list(phantom_batches(CONFIG, [64] * 3, phantoms=0, start=1)) == [[], []]


def test_gray_levels_vary_like_those_of_slices() -> None:
    plain, inverted = (Pretraining(augmentation=Augmentation(invert=p)) for p in (0, 1))
    (before,), (after,) = drawn(plain, [64]), drawn(inverted, [64])
    np.testing.assert_array_equal(after, 255 - before)
