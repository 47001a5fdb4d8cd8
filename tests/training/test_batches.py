"""Batches show every slice once an epoch, shuffled by seed and epoch alone."""

import numpy as np

from falx.recipe import Augmentation
from falx.training.bank import PlainSource
from falx.training.batches import PlainBatches, TrainingBatches, targets
from falx.training.views import Views

N = 20
PLAIN = np.random.default_rng(0).integers(0, 255, (N, 32, 32), np.uint8)
LABELS = np.arange(N) % 2


def source(**ranges):
    return PlainSource(Views(PLAIN, np.arange(N, dtype=np.uint64), Augmentation(**ranges), "noise"))


def training(seed, epoch, **ranges):
    batches = TrainingBatches(
        source(**ranges), np.arange(N), targets(LABELS, 2), batch=8, seed=seed
    )
    batches.epoch = epoch
    return [batches[index] for index in range(len(batches))]


def test_an_epoch_shows_every_slice_once_with_its_label():
    shown = training(seed=1, epoch=1)
    assert [len(inputs) for inputs, _ in shown] == [8, 8, 4]
    views = [view.astype(np.uint8).tobytes() for inputs, _ in shown for view in inputs]
    labels = np.concatenate([wanted[:, 0] for _, wanted in shown])
    known = {view.tobytes(): label for view, label in zip(PLAIN, LABELS, strict=True)}
    assert set(views) == set(known)
    assert [known[view] for view in views] == labels.tolist()


def test_seed_and_epoch_decide_the_order_and_the_epoch_the_views():
    def inputs(seed, epoch):
        return np.concatenate([each for each, _ in training(seed, epoch, rotation=20)])

    first = inputs(1, 1)
    assert first.shape == (N, 32, 32, 1)
    np.testing.assert_array_equal(inputs(1, 1), first)
    assert (inputs(2, 1) != first).any()
    assert sorted(map(bytes, inputs(2, 1))) == sorted(map(bytes, first))
    assert sorted(map(bytes, inputs(1, 2))) != sorted(map(bytes, first))


def test_plain_batches_are_plain_and_in_order():
    rows = np.array([3, 1, 2])
    batches = PlainBatches(source(rotation=20), rows, targets(LABELS[rows], 2), batch=2)
    inputs = np.concatenate([batches[index][0] for index in range(len(batches))])
    np.testing.assert_array_equal(inputs[..., 0], PLAIN[rows])


def test_targets_suit_the_loss():
    np.testing.assert_array_equal(targets(np.array([0, 1]), 2), [[0], [1]])
    np.testing.assert_array_equal(targets(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
