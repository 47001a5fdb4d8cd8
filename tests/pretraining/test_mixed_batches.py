"""Rehearsal: phantoms beside slices in a batch, and each row asked its own tasks alone."""

from __future__ import annotations

from contextlib import closing

import keras
import numpy as np
import pytest

from falx.pretraining.mixed_batches import augment_tones, mixed, phantoms_in, replay_phantoms
from falx.pretraining.phantom_stream import Batch, draw_batch
from falx.pretraining.tasks import TASKS
from falx.recipe import Augmentation, Pretraining

COURSE = Pretraining(seed=3)


@pytest.fixture(scope="module")
def phantoms() -> Batch:
    return draw_batch((5, 0), 4, 64)


@pytest.fixture
def slices() -> Batch:
    """Six slices of three classes."""
    answers = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    return Batch(np.full((6, 64, 64), 7, np.uint8), {"source": answers})


class TestHowMany:
    @pytest.mark.parametrize(
        ("batch", "share", "phantoms"), [(32, 0.5, 16), (32, 0.9, 28), (10, 0.5, 4), (32, 0.0, 0)]
    )
    def test_the_share_is_kept_as_pairs_allow(self, batch, share, phantoms) -> None:
        assert phantoms_in(batch, share) == phantoms

    @pytest.mark.parametrize("batch", [1, 2, 3, 4, 32])
    def test_a_slice_at_least_is_real(self, batch) -> None:
        assert batch - 2 <= phantoms_in(batch, 1.0) < batch

    def test_a_share_of_less_than_half_a_pair_is_none(self) -> None:
        assert phantoms_in(8, 0.1) == 0
        assert phantoms_in(1, 0.9) == 0


class TestWhatIsRehearsed:
    def test_a_step_has_its_phantoms_wherever_the_stream_begins(self) -> None:
        sizes = [64, 64, 96]
        with closing(replay_phantoms(COURSE, sizes, phantoms=2)) as drawn:
            whole = [batch for (batch,) in drawn]
        with closing(replay_phantoms(COURSE, sizes, phantoms=2, first=2)) as drawn:
            (last,) = [batch for (batch,) in drawn]
        assert [batch.views.shape for batch in whole] == [(2, 64, 64), (2, 64, 64), (2, 96, 96)]
        assert not np.array_equal(whole[0].views, whole[1].views)
        np.testing.assert_array_equal(whole[2].views, last.views)

    def test_without_phantoms_there_is_no_batch_of_them(self) -> None:
        assert list(replay_phantoms(COURSE, [64] * 3, phantoms=0, first=1)) == [[], []]

    def test_views_follow_from_seed_and_step(self, phantoms) -> None:
        def views(seed: int, step: int) -> np.ndarray:
            return augment_tones(phantoms, Pretraining(seed=seed), step).views

        np.testing.assert_array_equal(views(3, 1), views(3, 1))
        assert not np.array_equal(views(3, 1), views(3, 2))
        assert not np.array_equal(views(3, 1), views(4, 1))

    def test_grey_levels_vary_as_those_of_slices_do(self, phantoms) -> None:
        inverted = Pretraining(augmentation=Augmentation(invert=1))
        plain = Pretraining(augmentation=Augmentation())
        before, after = (augment_tones(phantoms, config, 0).views for config in (plain, inverted))
        np.testing.assert_array_equal(after, 255 - before)


class TestMixture:
    def test_slices_come_first_and_phantoms_after_them(self, slices, phantoms) -> None:
        views = mixed([slices, phantoms], [np.ones(6), np.ones(4)]).views
        np.testing.assert_array_equal(views, np.concatenate([slices.views, phantoms.views]))

    def test_a_row_is_asked_its_own_tasks_alone(self, slices, phantoms) -> None:
        batch = mixed([slices, phantoms], [np.ones(6), np.ones(4)])
        for name, weights in batch.weights.items():
            asked = np.arange(10) < 6 if name == "source" else np.arange(10) >= 6
            np.testing.assert_array_equal(weights.ravel() > 0, asked)
            assert not batch.answers[name][~asked].any()

    @pytest.mark.parametrize("name", ["source", *(task.name for task in TASKS)])
    def test_a_loss_is_the_mean_over_the_rows_that_are_asked(self, slices, phantoms, name) -> None:
        importance = np.array([1, 2, 3, 1, 2, 3]) / 2
        batch = mixed([slices, phantoms], [importance, np.ones(4)])
        answers, weights = batch.answers[name], batch.weights[name]
        logits = np.random.default_rng(0).normal(size=answers.shape).astype(np.float32)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        rows, counts = (slice(6), importance) if name == "source" else (slice(6, 10), np.ones(4))
        alone = [float(loss(answers[[row]], logits[[row]])) for row in range(10)[rows]]
        found = float(loss(answers, logits, sample_weight=weights))
        assert found == pytest.approx(np.mean(counts * alone), rel=1e-5)

    def test_slices_alone_are_left_as_they_are(self, slices) -> None:
        importance = np.array([1, 2, 3, 1, 2, 3], np.float32)
        batch = mixed([slices], [importance])
        assert batch.answers.keys() == {"source"}
        np.testing.assert_array_equal(batch.answers["source"], slices.answers["source"])
        np.testing.assert_array_equal(batch.weights["source"], importance)
