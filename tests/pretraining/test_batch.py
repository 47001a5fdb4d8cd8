"""Batches: what is known of each view, and joining those with different targets."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from falx.image.render import Region, shown_in
from falx.model.cells import cells
from falx.pretraining.batch import Batch, joined, localized_batch


@pytest.fixture
def phantoms() -> Batch:
    """Four views, every second one with a tumor in its upper left cell."""
    cover = np.zeros((64, 64), np.float32)
    cover[:8, :4] = 1
    views = [np.full((64, 64), n, np.uint8) for n in range(4)]
    return localized_batch(views, [np.zeros_like(cover), cover] * 2, [False, True] * 2)


@pytest.fixture
def slices() -> Batch:
    """Six slices of three classes."""
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    views = np.full((6, 64, 64), 7, np.uint8)
    return Batch(views, {"classes": targets}, {"classes": np.float32([1, 2, 3, 1, 2, 3]) / 2})


def test_cells_hold_the_fraction_that_is_tumor(phantoms) -> None:
    tumor_map = phantoms.targets["tumor_map"]
    assert tumor_map.shape == (4, 8, 8, 1)
    assert tumor_map[1, 0, 0, 0] == 0.5
    assert tumor_map.sum() == 1.0
    np.testing.assert_array_equal(phantoms.targets["tumor"][:, 0], [0, 1, 0, 1])


def test_where_a_tumor_is_unknown_the_map_has_no_weight() -> None:
    views = [np.zeros((64, 64), np.uint8)] * 2
    batch = localized_batch(views, [None, np.zeros((64, 64), np.float32)], [True, False])
    np.testing.assert_array_equal(batch.weights["tumor_map"], [0, 1])
    np.testing.assert_array_equal(batch.weights["tumor"], [1, 1])


def test_a_view_shows_the_part_of_the_mask_that_lies_in_its_region() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 20:40] = True
    beyond = shown_in(Region(-10, 0, 50, 60), mask, 60)
    assert beyond[20:30, 20:40].all()
    assert beyond.sum() == mask.sum()
    closer = shown_in(Region(10, 20, 20, 30), mask, 32)
    assert closer.all()
    assert cells(closer).shape == (4, 4)


def test_a_row_has_the_targets_of_its_own_batch_only(slices, phantoms) -> None:
    batch = joined([slices, phantoms])
    np.testing.assert_array_equal(batch.views, np.concatenate([slices.views, phantoms.views]))
    for name, weights in batch.weights.items():
        own = np.arange(10) < 6 if name == "classes" else np.arange(10) >= 6
        np.testing.assert_array_equal(weights > 0, own)
        assert not batch.targets[name][~own].any()


@pytest.mark.parametrize("name", ["classes", "tumor"])
def test_a_loss_is_the_mean_over_the_rows_with_the_target(slices, phantoms, name) -> None:
    batch = joined([slices, phantoms])
    part = slices if name == "classes" else phantoms
    rows = slice(0, 6) if name == "classes" else slice(6, 10)
    logits = np.random.default_rng(0).normal(size=batch.targets[name].shape).astype(np.float32)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    expected = loss(part.targets[name], logits[rows], sample_weight=part.weights[name])
    result = loss(batch.targets[name], logits, sample_weight=batch.weights[name])
    assert float(result) == pytest.approx(float(expected), rel=1e-5)


def test_a_single_batch_is_unchanged(slices) -> None:
    batch = joined([slices])
    np.testing.assert_array_equal(batch.targets["classes"], slices.targets["classes"])
    np.testing.assert_array_equal(batch.weights["classes"], slices.weights["classes"])
