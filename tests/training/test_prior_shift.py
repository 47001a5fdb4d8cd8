"""The frequency of classes at a place is estimated from probabilities, where only that differs."""

import numpy as np
import pytest

from falx.detect.finding import class_probabilities
from falx.exporting.direct import LinearHead
from falx.training.adaptation import logits_of
from falx.training.prior_shift import estimate_prior, shifted, with_prior


def calibrated(fraction, n=4000, seed=0):
    """Probabilities of two normal classes, by what knows both but takes them as equally frequent."""
    generator = np.random.default_rng(seed)
    labels = generator.uniform(size=n) < fraction
    values = generator.normal(size=n) + 2.0 * labels
    logits = 2.0 * values - 2.0
    return class_probabilities(logits[:, None]), labels


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8])
def test_the_frequency_is_found_if_nothing_else_differs(fraction):
    probabilities, labels = calibrated(fraction)
    prior = estimate_prior(probabilities)
    assert prior[1] == pytest.approx(labels.mean(), abs=0.02)
    assert prior.sum() == pytest.approx(1)


def test_it_is_wrong_if_slices_look_different():
    """All values are higher, which looks like more of the second class."""
    probabilities, labels = calibrated(0.3)
    logits = np.log(probabilities[:, 1] / probabilities[:, 0]) + 2.0
    prior = estimate_prior(class_probabilities(logits[:, None]))
    assert prior[1] > labels.mean() + 0.2


def test_shifted_probabilities_have_the_lower_loss_where_the_prior_is_right():
    probabilities, labels = calibrated(0.1)
    codes = labels.astype(int)
    after = shifted(probabilities, estimate_prior(probabilities))
    losses = [-np.log(each[np.arange(len(codes)), codes]).mean() for each in (probabilities, after)]
    assert losses[1] < losses[0] - 0.05


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_head_with_the_prior_gives_shifted_probabilities(outputs):
    generator = np.random.default_rng(3)
    head = LinearHead(
        generator.normal(size=(4, outputs)).astype(np.float32), np.zeros(outputs, np.float32)
    )
    features = generator.normal(size=(9, 4))
    prior = np.array([0.2, 0.8]) if outputs == 1 else np.array([0.1, 0.3, 0.6])
    expected = shifted(class_probabilities(logits_of(head, features)), prior)
    actual = class_probabilities(logits_of(with_prior(head, prior), features))
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_no_class_is_estimated_to_be_absent():
    prior = estimate_prior(np.tile([1.0, 0.0], (50, 1)))
    assert prior[1] == pytest.approx(1e-3, rel=0.01)
