"""Heads are adapted to a few patients, around the old head, and tested on others."""

import numpy as np
import pytest

from falx.exporting.direct import LinearHead
from falx.training.adaptation import (
    LocalSlices,
    adapt_layers,
    fold_pairs,
    group_losses,
    logits_of,
    refitted,
    rescaled,
)

DEPTH = 6


def local_slices(groups=5, size=20, classes=2, seed=0):
    """Slices whose class follows the first features."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(groups * size, DEPTH))
    noisy = features[:, :classes] + generator.normal(size=(groups * size, classes))
    labels = (noisy[:, 0] > 0).astype(int) if classes == 2 else noisy.argmax(axis=1)
    return LocalSlices(features, labels, np.repeat(np.arange(groups), size))


def old_head(outputs=1, seed=1):
    generator = np.random.default_rng(seed)
    kernel = generator.normal(size=(DEPTH, outputs)).astype(np.float32)
    return LinearHead(kernel, generator.normal(size=outputs).astype(np.float32))


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (3, 3)])
def test_a_strong_prior_keeps_the_old_head_and_a_weak_one_follows_the_slices(classes, outputs):
    slices, old = local_slices(classes=classes), old_head(outputs)
    changes = [
        np.abs(refitted(old, slices, l2=l2).kernel - old.kernel).max() for l2 in (1e-2, 1e2, 1e6)
    ]
    assert changes[0] > changes[1] > changes[2]
    assert changes[2] < 1e-3
    losses = [
        group_losses(logits_of(head, slices.features), slices.labels, slices.groups).mean()
        for head in (refitted(old, slices, l2=1e-2), old)
    ]
    assert losses[0] < losses[1]


def test_a_refitted_head_has_the_lowest_penalized_loss():
    slices, old, l2 = local_slices(), old_head(), 3.0
    scale, center = slices.features.std(axis=0), slices.features.mean(axis=0)
    found = refitted(old, slices, l2=l2)

    def loss(kernel, bias):
        logits = slices.features @ kernel[:, 0] + bias
        signs = 2 * slices.labels - 1
        data = (np.logaddexp(0, -signs * logits) / np.sqrt(20)).sum()
        change = (kernel - old.kernel)[:, 0]
        moved = bias - old.bias[0] + center @ change
        return data + l2 / 2 * ((change * scale) ** 2).sum() + moved**2 / 2.5**2 / 2

    best = loss(found.kernel.astype(float), float(found.bias[0]))
    generator = np.random.default_rng(0)
    for _ in range(50):
        step = generator.normal(size=(DEPTH, 1)) * 0.02
        assert loss(found.kernel + step, found.bias[0] + 0.02 * generator.normal()) > best - 1e-6


def test_a_feature_that_is_constant_here_keeps_its_weight():
    slices, old = local_slices(), old_head()
    slices.features[:, 2] = 4.0
    found = refitted(old, slices, l2=1.0)
    assert found.kernel[2, 0] == old.kernel[2, 0]
    assert np.isfinite(found.bias).all()


def test_rescaling_keeps_the_ranks_and_lowers_the_loss():
    slices = local_slices()
    old = LinearHead(np.array([[6.0], *[[0.0]] * 5], np.float32), np.array([3.0], np.float32))
    found = rescaled(old, slices)
    slope = found.kernel[0, 0] / old.kernel[0, 0]
    assert 0 < slope < 1
    losses = [
        group_losses(logits_of(each, slices.features), slices.labels, slices.groups).mean()
        for each in (found, old)
    ]
    assert losses[0] < losses[1]


def test_a_wide_prior_lets_go_of_a_detector_that_is_far_off():
    slices = local_slices()
    old = LinearHead(np.array([[9.0], *[[0.0]] * 5], np.float32), np.array([30.0], np.float32))
    losses = [
        group_losses(adapt_layers(name, old, slices).logits, slices.labels, slices.groups).mean()
        for name in ("wide", "rules")
    ]
    assert losses[0] < np.log(2) < losses[1]


def test_copies_of_slices_add_less_evidence_than_other_patients():
    slices, old = local_slices(size=4), old_head()
    copies = slices.take(np.repeat(np.arange(len(slices)), 4))
    others = LocalSlices(
        copies.features, copies.labels, np.arange(len(copies)) % 4 * 5 + copies.groups
    )
    assert copies.weights.sum() == pytest.approx(2 * slices.weights.sum())
    assert others.weights.sum() == pytest.approx(4 * slices.weights.sum())
    changes = [
        np.abs(refitted(old, each, l2=10).kernel - old.kernel).max()
        for each in (slices, copies, others)
    ]
    assert changes[0] < changes[1] < changes[2]


def test_logits_out_of_fold_do_not_know_the_labels_of_their_group():
    slices, old = local_slices(), old_head()
    swapped = LocalSlices(slices.features, slices.labels.copy(), slices.groups)
    first = slices.groups == 0
    swapped.labels[first] = 1 - swapped.labels[first]
    one, other = (adapt_layers("rules", old, each).logits for each in (slices, swapped))
    np.testing.assert_array_equal(one[first], other[first])
    assert np.abs(one[~first] - other[~first]).max() > 1e-3


def test_the_head_of_the_best_penalty_is_taken():
    slices, old = local_slices(groups=8), old_head()
    found = adapt_layers("head", old, slices)
    losses = {}
    for l2 in (1e4, 1e3, 1e2, 1e1, 1e0):
        logits = np.empty((len(slices), 1))
        for rest, tested in fold_pairs(slices.groups):
            head = refitted(old, slices.take(rest), l2=l2)
            logits[tested] = logits_of(head, slices.features[tested])
        losses[l2] = group_losses(logits, slices.labels, slices.groups).mean()
    best = min(losses, key=losses.get)
    np.testing.assert_allclose(found.layers.head.kernel, refitted(old, slices, l2=best).kernel)
    assert losses[best] < losses[1e4]


def test_folds_are_of_whole_groups():
    groups = np.repeat(np.arange(7), 3)
    pairs = fold_pairs(groups)
    assert len(pairs) == 5
    assert sorted(np.concatenate([tested for _, tested in pairs])) == list(range(21))
    assert all(not set(groups[rest]) & set(groups[tested]) for rest, tested in pairs)
    assert len(fold_pairs(groups[:9])) == 3
