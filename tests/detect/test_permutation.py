"""The permutation test keeps its rate and sees every kind of difference."""

import numpy as np
import pytest

from falx.detect.permutation import p_value


def sample(n, seed, *, shift=0.0, spread=1.0, measurements=6):
    return shift + spread * np.random.default_rng(seed).normal(size=(n, measurements))


def p_of(values, trained, *, seed=0):
    return p_value(values, np.arange(len(values)), trained, seed=seed)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("falx.detect.permutation.PERMUTATIONS", 199)


@pytest.mark.parametrize(("n", "n_trained"), [(12, 60), (60, 12), (3, 40)])
def test_under_the_null_hypothesis_it_keeps_the_rate_that_is_stated(quick, n, n_trained):
    found = np.array(
        [p_of(sample(n, seed), sample(n_trained, 1000 + seed), seed=seed) for seed in range(200)]
    )
    # With a rate of 5 %, the 0.1 and the 99.9 % quantile of the binomial distribution.
    assert 2 <= (found <= 0.05).sum() <= 21


def test_groups_of_several_slices_do_not_fire_more_often(quick):
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        # Half the variance lies between groups.
        between, within = rng.normal(size=(8, 1, 4)), rng.normal(size=(8, 20, 4))
        slices = ((between + within) / np.sqrt(2)).reshape(160, 4)
        groups = np.repeat(np.arange(8), 20)
        found.append(p_value(slices, groups, rng.normal(size=(60, 4)), seed=seed))
    # The 99.9 % quantile of the binomial distribution.
    assert (np.array(found) <= 0.05).sum() <= 13


@pytest.mark.parametrize(
    "changes",
    [{"shift": 0.8}, {"shift": np.array([0, 0, 3.0, 0, 0, 0])}, {"spread": 0.4}, {"spread": 3.0}],
    ids=["in all", "in one", "more alike", "less alike"],
)
def test_other_means_and_other_spreads_are_found(changes):
    assert p_of(sample(20, 1, **changes), sample(80, 2)) < 0.002


def test_three_groups_suffice_where_the_difference_is_large():
    assert p_of(sample(3, 1, shift=8.0), sample(40, 2)) < 0.002


def test_a_group_counts_once_however_often_its_slices_are_repeated():
    values, trained = sample(12, 1, shift=0.5), sample(60, 2)
    rows = np.r_[np.arange(12), np.zeros(7, int)]
    assert p_value(values[rows], rows, trained) == p_of(values, trained)


def test_it_does_not_depend_on_the_order_of_slices():
    values, trained = sample(12, 1, shift=0.5), sample(60, 2)
    groups = np.arange(12) // 2
    order = np.random.default_rng(0).permutation(12)
    assert p_value(values[order], groups[order], trained) == p_value(values, groups, trained)


def test_a_measurement_that_never_varies_changes_nothing():
    values, trained = sample(12, 1, shift=0.5), sample(60, 2)
    constant = [np.column_stack([each, np.zeros(len(each))]) for each in (values, trained)]
    assert p_of(*constant) == pytest.approx(p_of(values, trained), abs=0.002)


def test_of_many_slices_some_are_compared():
    values, trained = sample(3000, 1, shift=0.5), sample(60, 2)
    assert p_value(values, np.arange(3000) // 10, trained) < 0.002
