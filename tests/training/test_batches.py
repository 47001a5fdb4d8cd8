"""Batches hold every slice once per epoch, shuffled by seed and epoch alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

from falx.recipe import Augmentation
from falx.training.bank import ViewSource
from falx.training.batches import SequentialBatches, ShuffledBatches
from falx.training.targets import balanced_class_weights, balanced_weights, encode_targets
from falx.training.views import Views

N = 20
PLAIN = np.random.default_rng(0).integers(0, 255, (N, 32, 32), np.uint8)
LABELS = np.arange(N) % 2


def source(**augmentation):
    content_ids = np.arange(N, dtype=np.uint64)
    return ViewSource(Views(PLAIN, content_ids, Augmentation(**augmentation), "noise"))


def epoch_of(seed, epoch, **augmentation):
    batches = ShuffledBatches(
        source(**augmentation), np.arange(N), encode_targets(LABELS, 2), batch_size=8, seed=seed
    )
    batches.epoch = epoch
    return [batches[index] for index in range(len(batches))]


def test_an_epoch_holds_every_slice_once_with_its_label():
    batches = epoch_of(seed=1, epoch=1)
    assert [len(inputs) for inputs, _ in batches] == [8, 8, 4]
    views = [view.astype(np.uint8).tobytes() for inputs, _ in batches for view in inputs]
    labels = np.concatenate([targets[:, 0] for _, targets in batches])
    expected = {view.tobytes(): label for view, label in zip(PLAIN, LABELS, strict=True)}
    assert set(views) == set(expected)
    assert [expected[view] for view in views] == labels.tolist()


def test_seed_and_epoch_determine_the_order_and_the_epoch_alone_the_views():
    def inputs(seed, epoch):
        return np.concatenate([each for each, _ in epoch_of(seed, epoch, rotation=20)])

    first = inputs(1, 1)
    assert first.shape == (N, 32, 32, 1)
    np.testing.assert_array_equal(inputs(1, 1), first)
    assert (inputs(2, 1) != first).any()
    assert sorted(map(bytes, inputs(2, 1))) == sorted(map(bytes, first))
    assert sorted(map(bytes, inputs(1, 2))) != sorted(map(bytes, first))


def test_sequential_batches_are_plain_views_in_order():
    rows = np.array([3, 1, 2])
    batches = SequentialBatches(
        source(rotation=20), rows, encode_targets(LABELS[rows], 2), batch_size=2
    )
    inputs = np.concatenate([batches[index][0] for index in range(len(batches))])
    np.testing.assert_array_equal(inputs[..., 0], PLAIN[rows])


def test_targets_are_one_column_for_two_classes_and_one_hot_for_more():
    np.testing.assert_array_equal(encode_targets(np.array([0, 1]), 2), [[0], [1]])
    np.testing.assert_array_equal(encode_targets(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize("counts", [(3, 1), (20, 20), (1, 2, 4), (155, 98), (7, 11, 13, 17)])
def test_balanced_weights_are_n_over_classes_times_count_to_the_last_digit(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = balanced_class_weights(labels, len(counts))
    assert weights == {
        code: len(labels) / (len(counts) * count) for code, count in enumerate(counts)
    }
    assert sum(weights[label] for label in labels) == pytest.approx(len(labels))


def test_a_class_without_slices_has_no_weight():
    with pytest.raises(ValueError, match="classes should have valid labels"):
        balanced_class_weights(np.array([0, 0]), 2)


@pytest.mark.parametrize("counts", [(3, 1), (20, 20), (1, 2, 4), (155, 98)])
def test_the_weights_of_one_source_are_those_that_keras_makes_of_class_weights(counts):
    """Bit by bit."""
    labels = np.repeat(np.arange(len(counts)), counts)
    classes = len(counts)
    weights = balanced_weights(labels, np.zeros(len(labels), int), classes)
    by_class = balanced_class_weights(labels, classes)
    targets = encode_targets(labels, classes)
    np.testing.assert_array_equal(
        weights.astype(np.float32), class_weight_to_sample_weights(targets, by_class)
    )


@given(st.lists(st.integers(0, 9), min_size=6, max_size=6))
def test_classes_count_equally_and_in_each_class_its_sources(counts):
    cells = np.array(counts).reshape(3, 2)
    if not cells.any(axis=0).all():
        return
    sources, labels = np.repeat(np.argwhere(cells >= 0), cells.ravel(), axis=0).T
    weights = balanced_weights(labels, sources, 2)
    total = np.zeros((3, 2))
    np.add.at(total, (sources, labels), weights)
    np.testing.assert_allclose(total.sum(axis=0), len(labels) / 2)
    for code in range(2):
        present = total[cells[:, code] > 0, code]
        np.testing.assert_allclose(present, present[0])


def test_a_class_without_rows_has_no_weight():
    with pytest.raises(ValueError, match="Class 1 has no rows"):
        balanced_weights(np.zeros(3, int), np.zeros(3, int), 2)


def test_batches_carry_the_weights_of_their_slices():
    weights = np.arange(N) / 7
    targets = np.arange(N, dtype=np.float32)[:, None]
    batches = ShuffledBatches(source(), np.arange(N), targets, weights, batch_size=8, seed=0)
    found = [batches[index] for index in range(len(batches))]
    assert [len(part) for _, _, part in found] == [8, 8, 4]
    for _, order, part in found:
        np.testing.assert_array_equal(part, (order[:, 0] / 7).astype(np.float32))
        assert part.dtype == np.float32
