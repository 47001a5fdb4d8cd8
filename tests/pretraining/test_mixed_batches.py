"""Rehearsal: batches of slices and phantoms, each row with targets of its own tasks only."""

from __future__ import annotations

from contextlib import closing

import keras
import numpy as np
import pytest

from falx.pretraining.mixed_batches import (
    augment_gray_levels,
    mix_batches,
    phantom_batches,
    phantoms_per_batch,
)
from falx.pretraining.phantom_stream import Batch, draw_batch
from falx.pretraining.tasks import TASKS
from falx.recipe import Augmentation, Pretraining

CONFIG = Pretraining(seed=3)


@pytest.fixture(scope="module")
def phantoms() -> Batch:
    return draw_batch((5, 0), 4, 64)


@pytest.fixture
def slices() -> Batch:
    """Six slices of three classes."""
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    return Batch(np.full((6, 64, 64), 7, np.uint8), {"source": targets})


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


class TestPhantomBatches:
    def test_the_phantoms_of_a_step_do_not_depend_on_where_the_stream_starts(self) -> None:
        sizes = [64, 64, 96]
        with closing(phantom_batches(CONFIG, sizes, phantoms=2)) as steps:
            whole = [batch for (batch,) in steps]
        with closing(phantom_batches(CONFIG, sizes, phantoms=2, start=2)) as steps:
            (last,) = [batch for (batch,) in steps]
        assert [batch.views.shape for batch in whole] == [(2, 64, 64), (2, 64, 64), (2, 96, 96)]
        assert not np.array_equal(whole[0].views, whole[1].views)
        np.testing.assert_array_equal(whole[2].views, last.views)

    def test_without_phantoms_each_step_is_empty(self) -> None:
        assert list(phantom_batches(CONFIG, [64] * 3, phantoms=0, start=1)) == [[], []]

    def test_seed_and_step_determine_the_views(self, phantoms) -> None:
        def views(seed: int, step: int) -> np.ndarray:
            return augment_gray_levels(phantoms, Pretraining(seed=seed), step).views

        np.testing.assert_array_equal(views(3, 1), views(3, 1))
        assert not np.array_equal(views(3, 1), views(3, 2))
        assert not np.array_equal(views(3, 1), views(4, 1))

    def test_gray_levels_vary_like_those_of_slices(self, phantoms) -> None:
        inverted = Pretraining(augmentation=Augmentation(invert=1))
        plain = Pretraining(augmentation=Augmentation())
        before, after = (
            augment_gray_levels(phantoms, config, 0).views for config in (plain, inverted)
        )
        np.testing.assert_array_equal(after, 255 - before)


class TestMixBatches:
    def test_slices_come_first_and_phantoms_after_them(self, slices, phantoms) -> None:
        views = mix_batches([slices, phantoms], [np.ones(6), np.ones(4)]).views
        np.testing.assert_array_equal(views, np.concatenate([slices.views, phantoms.views]))

    def test_a_row_has_targets_of_its_own_tasks_only(self, slices, phantoms) -> None:
        batch = mix_batches([slices, phantoms], [np.ones(6), np.ones(4)])
        assert len(batch.sample_weights) == 1 + len(TASKS)
        for name, weights in batch.sample_weights.items():
            own = np.arange(10) < 6 if name == "source" else np.arange(10) >= 6
            np.testing.assert_array_equal(weights.ravel() > 0, own)
            assert not batch.targets[name][~own].any()

    @pytest.mark.parametrize("name", ["source", *(task.name for task in TASKS)])
    def test_a_loss_is_the_mean_over_the_rows_with_targets(self, slices, phantoms, name) -> None:
        slice_weights = np.array([1, 2, 3, 1, 2, 3]) / 2
        batch = mix_batches([slices, phantoms], [slice_weights, np.ones(4)])
        targets, weights = batch.targets[name], batch.sample_weights[name]
        logits = np.random.default_rng(0).normal(size=targets.shape).astype(np.float32)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        if name == "source":
            rows, row_weights = range(6), slice_weights
        else:
            rows, row_weights = range(6, 10), np.ones(4)
        losses = [float(loss(targets[[row]], logits[[row]])) for row in rows]
        result = float(loss(targets, logits, sample_weight=weights))
        assert result == pytest.approx(np.mean(row_weights * losses), rel=1e-5)

    def test_slices_without_phantoms_are_unchanged(self, slices) -> None:
        weights = np.array([1, 2, 3, 1, 2, 3], np.float32)
        batch = mix_batches([slices], [weights])
        assert batch.targets.keys() == {"source"}
        np.testing.assert_array_equal(batch.targets["source"], slices.targets["source"])
        np.testing.assert_array_equal(batch.sample_weights["source"], weights)
