"""The last layer of a localization head is refitted to a few patients, around the old one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from falx.exporting.arrays import Convolution
from falx.exporting.direct import LinearHead
from falx.training.map_adaptation import LocalCells, evidence_of, refit_map

DEPTH, CELLS, SLICES = 5, 30, 40
HEAD = LinearHead(np.array([[2.0]], np.float32), np.array([-1.0], np.float32))


def convolution(weights, bias=-3.0):
    kernel = np.asarray(weights, np.float32)[None, :, None, None]
    return Convolution(kernel, np.array([bias], np.float32))


OLD = convolution([2.0, 0, 0, 0, 0])


@pytest.fixture
def local():
    """Slices, half of them with two cells of tumor, which the second feature shows."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(SLICES, 2, CELLS, DEPTH)).astype(np.float32)
    covers = np.zeros((SLICES, 2, CELLS), np.float32)
    labels = np.arange(SLICES) % 2
    covers[labels == 1, :, 3:5] = 1
    features[..., 1] += 3 * covers
    return LocalCells(features, covers, np.ones(SLICES, bool), OLD), labels


def refit(local, **options):
    options = {"l2": 1.0, "deviation": 0.25, **options}
    return refit_map(HEAD, *local, np.full(SLICES, 0.5), **options)


def test_evidence_is_the_mean_over_views_of_the_log_of_the_sum_of_odds(local):
    cells, _ = local
    logits = 2.0 * cells.features[..., 0].astype(float) - 3.0
    expected = logsumexp(logits, axis=-1).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(evidence_of(OLD, cells), expected, atol=1e-5)


def test_a_strong_prior_keeps_the_layer_and_a_weak_one_finds_the_tumor(local):
    changes = []
    for l2 in (1e-1, 1e1, 1e6):
        _, found = refit(local, l2=l2)
        changes.append(np.abs(found.kernel - OLD.kernel).max())
    assert changes[0] > changes[1] > changes[2]
    assert changes[2] < 1e-3
    _, found = refit(local, l2=1e-1)
    assert found.kernel[0, 1, 0, 0] > 5 * np.abs(found.kernel[0, 2:, 0, 0]).max()
    np.testing.assert_array_equal(found.bias, OLD.bias)


def test_the_loss_is_the_lowest_that_there_is_nearby(local):
    """The loss is written here as falx.model.localization has it."""
    cells, labels = local
    deviation, l2 = 0.25, 3.0
    head, found = refit(local, l2=l2)
    scale = np.sqrt(cells.features.reshape(-1, DEPTH).var(axis=0).mean())

    def loss(slope, intercept, weights):
        logits = cells.features @ weights - 3.0
        of_slices = slope * (2 * logsumexp(logits, axis=-1).mean(axis=1) - 1) + intercept
        signs = 2 * labels - 1
        slices = np.logaddexp(0, -signs * of_slices)
        each = np.logaddexp(0, logits) - cells.covers * logits
        maps = (each * (1 + 3 * cells.covers)).mean(axis=(1, 2))
        change = (weights - OLD.kernel[0, :, 0, 0]) * scale
        prior = (np.log(slope) ** 2 + intercept**2) / deviation**2 + l2 * (change**2).sum()
        return 0.5 * (slices + 3 * maps).sum() + prior / 2

    slope = float(head.kernel[0, 0]) / 2
    intercept, weights = float(head.bias[0]) + slope, found.kernel[0, :, 0, 0].astype(float)
    best = loss(slope, intercept, weights)
    generator = np.random.default_rng(1)
    steps = generator.normal(size=(50, 2 + DEPTH)) * 0.1
    assert all(loss(slope + s[0], intercept + s[1], weights + s[2:]) > best for s in steps)
    assert best < loss(1.0, 0.0, OLD.kernel[0, :, 0, 0].astype(float)) - 1


def test_outlines_count_only_where_they_are_known(local):
    cells, labels = local
    moved = replace(cells, covers=np.roll(cells.covers, 7, axis=2))
    unknown = np.zeros(SLICES, bool)
    known, other = (refit((each, labels))[1].kernel for each in (cells, moved))
    assert np.abs(known - other).max() > 0.1
    first, second = (
        refit((replace(each, outlined=unknown), labels))[1].kernel for each in (cells, moved)
    )
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_feature_that_is_absent_here_keeps_its_weight(local):
    cells, labels = local
    cells.features[..., 2] = 0.0
    head, found = refit((cells, labels))
    assert found.kernel[0, 2, 0, 0] == OLD.kernel[0, 2, 0, 0]
    assert np.isfinite(head.bias).all()


def test_a_feature_that_is_rare_here_hardly_changes(local):
    """By its own scale, it would be as free as any other."""
    cells, labels = local
    cells.features[..., 2] = 1e-3 * cells.covers
    _, found = refit((cells, labels))
    assert abs(found.kernel[0, 2, 0, 0]) < 0.1
