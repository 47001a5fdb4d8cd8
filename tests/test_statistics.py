"""Intervals agree with literal resampling and with the formulas of the papers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm, ttest_1samp
from sklearn.metrics import average_precision_score, roc_auc_score

from falx import statistics
from falx.errors import BadInput
from falx.statistics import (
    MIN_GROUPS,
    Estimate,
    RankedScores,
    bootstrap_groups,
    difference_interval,
    exact_interval,
    mean_interval,
    mean_over_repeats,
    percentile_interval,
    proportion_interval,
    ranking_metrics,
    ratio_interval,
    sign_flip_p,
    wilson_interval,
)


def bounds(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def counts(groups: int, **options: Any) -> np.ndarray:
    return np.concatenate(list(bootstrap_groups(groups, **options)))


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 1000))
def test_each_resample_draws_as_many_groups_as_there_are(
    groups: int, resamples: int, seed: int
) -> None:
    found = counts(groups, resamples=resamples, seed=seed)
    assert found.shape == (resamples, groups)
    assert (found.sum(axis=1) == groups).all()


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 1000))
def test_groups_are_drawn_as_by_one_call_for_each_resample(
    groups: int, resamples: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    literal = [
        np.bincount(rng.integers(groups, size=groups), minlength=groups) for _ in range(resamples)
    ]
    np.testing.assert_array_equal(counts(groups, resamples=resamples, seed=seed), literal)


def test_resamples_do_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = counts(30, resamples=100, seed=3)
    monkeypatch.setattr(statistics, "_CHUNK", 7 * 30)
    chunks = list(bootstrap_groups(30, resamples=100, seed=3))
    assert [len(chunk) for chunk in chunks] == [*[7] * 14, 2]
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


@pytest.mark.parametrize(("columns", "size"), [(None, 87), (30_000, 8), (10**7, 1)])
def test_a_chunk_of_resamples_is_small(columns: int | None, size: int) -> None:
    chunks = bootstrap_groups(3000, resamples=100, columns=columns)
    assert len(next(chunks)) == size


def test_percentile_interval_is_the_central_95_percent_of_defined_replicates() -> None:
    replicates = np.array([*np.linspace(0, 1, 101), math.nan, math.inf])
    found = percentile_interval(0.5, replicates, 10)
    assert found is not None
    assert bounds(found) == pytest.approx((0.5, 0.025, 0.975))


def test_percentile_interval_is_widened_to_the_value() -> None:
    found = percentile_interval(0.1, np.array([0.2, 0.3, 0.4]), 10)
    assert found is not None
    assert found.low == found.value == 0.1


def test_percentile_interval_is_none_where_replicates_agree() -> None:
    assert percentile_interval(0.5, np.array([0.5, 0.5 + 1e-14]), 10) is None


@pytest.mark.parametrize(
    ("value", "replicates"), [(math.nan, [0.1, 0.2]), (0.5, [math.nan]), (0.5, [])]
)
def test_percentile_interval_is_undefined_without_value_or_replicates(
    value: float, replicates: list[float]
) -> None:
    found = percentile_interval(value, np.array(replicates), 10)
    assert found is not None
    assert bounds(found) == pytest.approx((value, math.nan, math.nan), nan_ok=True)


def test_fewer_than_ten_groups_have_no_interval() -> None:
    """Whatever their resamples show, or whether they agree."""
    for replicates in ([0.2, 0.3, 0.4], [0.3, 0.3]):
        found = percentile_interval(0.3, np.array(replicates), MIN_GROUPS - 1)
        assert found is not None
        assert bounds(found) == pytest.approx((0.3, math.nan, math.nan), nan_ok=True)
    enough = percentile_interval(0.3, np.array([0.2, 0.4]), MIN_GROUPS)
    assert enough is not None
    assert bounds(enough) == pytest.approx((0.3, 0.205, 0.395))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_few_groups_of_one_outcome_keep_the_exact_interval_of_their_count(value: float) -> None:
    """Three patients, all right: 1 of 3 is not excluded, and the interval says so."""
    assert percentile_interval(value, np.array([value, value]), 3) is None
    assert mean_interval(np.full(30, value), np.arange(30) % 3) == proportion_interval(value, 3)


def test_mean_of_few_groups_is_only_a_value() -> None:
    values = np.random.default_rng(0).random(90)
    assert str(mean_interval(values, np.arange(90) % 9)) == f"{values.mean():.3f}"
    assert "to" in str(mean_interval(values, np.arange(90) % 10))


@pytest.mark.parametrize("binary", [True, False])
def test_mean_interval_is_the_percentile_of_literal_resamples(binary: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.random(60).round() if binary else rng.random(60)
    groups = rng.integers(25, size=60)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    draws = np.random.default_rng(5)
    means = [
        values[
            np.concatenate([members[i] for i in draws.integers(len(members), size=len(members))])
        ].mean()
        for _ in range(300)
    ]
    found = mean_interval(values, groups, resamples=300, seed=5)
    wanted = (values.mean(), *np.quantile(means, [0.025, 0.975]))
    assert bounds(found) == pytest.approx(wanted, abs=1e-14)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(1, 10))
def test_mean_interval_contains_the_mean_whatever_groups_are_called(
    values: list[float], groups: int
) -> None:
    codes = np.arange(len(values)) % groups
    found = mean_interval(values, codes, resamples=20)
    assert found.value == pytest.approx(np.mean(values))
    renamed = mean_interval(values, codes * 10 - 7, resamples=20)
    assert str(renamed) == str(found)


def test_mean_of_equal_binary_values_has_the_exact_interval_of_the_groups() -> None:
    assert mean_interval(np.ones(24), np.arange(24) // 2) == proportion_interval(1.0, 12)
    assert mean_interval(np.zeros(24, bool), np.arange(24)) == proportion_interval(0.0, 24)


@pytest.mark.parametrize(("values", "groups"), [([0.4] * 9, range(9)), ([0.1, 0.3], [0, 0])])
def test_mean_of_values_that_always_agree_has_no_interval(values: Any, groups: Any) -> None:
    found = mean_interval(values, groups)
    assert found.value == pytest.approx(np.mean(values))
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_ratio_interval_is_that_of_a_ratio_of_sums() -> None:
    """False positives a volume: a patient with more volumes weighs more."""
    rng = np.random.default_rng(0)
    events, volumes, groups = rng.poisson(3, 40), rng.integers(1, 4, 40), np.arange(40) // 2
    drawn = counts(20)
    above, below = (np.bincount(groups, values) for values in (events, volumes))
    ratios = (drawn @ above) / (drawn @ below)
    found = ratio_interval(events, volumes, groups)
    wanted = (events.sum() / volumes.sum(), *np.quantile(ratios, [0.025, 0.975]))
    assert bounds(found) == pytest.approx(wanted, abs=1e-14)


def test_ratio_that_never_varies_has_no_interval() -> None:
    assert str(ratio_interval(np.full(20, 2), np.ones(20), np.arange(20))) == "2.000"


def test_replicates_over_repeats_are_means_of_drawn_repeats() -> None:
    replicates = np.stack([np.zeros(500), np.ones(500)])
    found = mean_over_repeats(replicates, 0)
    assert set(found.tolist()) == {0.0, 0.5, 1.0}
    assert found.mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(mean_over_repeats(replicates[:1], 0), np.zeros(500))


def test_difference_interval_is_that_of_the_mean_of_differences() -> None:
    rng = np.random.default_rng(0)
    differences = rng.uniform(-1, 1, 50)
    groups = np.arange(50) // 2
    totals = differences.reshape(-1, 2).sum(axis=1)
    means = counts(25) @ totals / 50
    found = difference_interval(differences, groups)
    wanted = (differences.mean(), *np.quantile(means, [0.025, 0.975]))
    assert bounds(found) == pytest.approx(wanted, abs=1e-14)
    swapped = difference_interval(-differences, groups)
    assert bounds(swapped) == pytest.approx((-found.value, -found.high, -found.low), abs=1e-14)


def clopper_pearson(successes: int, n: int) -> tuple[float, float]:
    """The quantiles of the beta distribution, 0 and 1 at the ends."""
    low = beta.ppf(0.025, successes, n - successes + 1) if successes else 0.0
    return low, beta.ppf(0.975, successes + 1, n - successes) if successes < n else 1.0


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Equation 4 of Brown, Cai and DasGupta."""
    p, z = successes / n, norm.ppf(0.975)
    center = (successes + z**2 / 2) / (n + z**2)
    reach = z * math.sqrt(n) / (n + z**2) * math.sqrt(p * (1 - p) + z**2 / (4 * n))
    return center - reach, center + reach


@given(st.integers(1, 300), st.floats(0, 1))
def test_proportion_intervals_are_those_of_the_papers(n: int, share: float) -> None:
    successes = round(share * n)
    for interval, formula in ((exact_interval, clopper_pearson), (wilson_interval, wilson)):
        wanted = (successes / n, *formula(successes, n))
        assert bounds(interval(successes, n)) == pytest.approx(wanted, abs=1e-12)


def test_intervals_of_the_paper_s_29_of_32() -> None:
    exact, score = exact_interval(29, 32), wilson_interval(29, 32)
    assert (round(exact.low, 3), round(exact.high, 3)) == (0.750, 0.980)
    assert (round(score.low, 2), round(score.high, 2)) == (0.76, 0.97)


@pytest.mark.parametrize(("successes", "n"), [(3, 2), (-1, 2), (0, 0)])
def test_impossible_proportions_are_rejected(successes: int, n: int) -> None:
    for interval in (exact_interval, wilson_interval):
        with pytest.raises(BadInput, match="`successes` must lie in 0 to `n`"):
            interval(successes, n)


@given(st.integers(1, 200), st.integers(0, 1000).map(lambda thousandths: thousandths / 1000))
def test_interval_of_a_fractional_count_lies_between_those_of_its_neighbors(
    n: int, proportion: float
) -> None:
    found = proportion_interval(proportion, n)
    below, above = math.floor(proportion * n), math.ceil(proportion * n)
    assert exact_interval(below, n).low - 1e-9 <= found.low
    assert found.high <= exact_interval(above, n).high + 1e-9


def test_proportion_of_unknown_trials_has_no_interval() -> None:
    assert str(proportion_interval(0.25, math.nan)) == "0.250"


@given(st.data())
def test_ranking_metrics_are_those_of_scikit_learn_with_weights(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 30))
    scores = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))) / 5
    positive = np.arange(n) % 2 == 0
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), float)
    weights[:2] += 1  # both classes
    found = ranking_metrics(RankedScores.of(scores, positive), weights[None])
    wanted = [
        metric(positive, scores, sample_weight=weights)
        for metric in (roc_auc_score, average_precision_score)
    ]
    assert [metric[0] for metric in found] == pytest.approx(wanted)


def test_ranking_metrics_are_undefined_where_a_class_was_not_drawn() -> None:
    ranked = RankedScores.of(np.array([0.1, 0.9]), np.array([False, True]))
    auc, average_precision = ranking_metrics(ranked, np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert np.isnan(auc).all()
    assert math.isnan(average_precision[0])
    assert average_precision[1] == 1


def test_estimate_prints_what_is_defined() -> None:
    assert str(Estimate(0.9, 0.8, 0.97)) == "0.900 (0.800 to 0.970)"
    assert str(Estimate(0.9, math.nan, math.nan)) == "0.900"
    assert str(Estimate(math.nan, math.nan, math.nan)) == "undefined"


def test_estimate_of_a_value_outside_its_interval_is_rejected() -> None:
    with pytest.raises(BadInput, match="between `low` and `high`"):
        Estimate(0.7, 0.8, 0.9)


def test_estimate_writes_what_is_undefined_as_null() -> None:
    estimate = Estimate(0.9, 0.8, math.nan)
    assert estimate.as_dict() == {"value": 0.9, "low": 0.8, "high": None}


def test_sign_flips_are_counted_exactly_for_few_groups():
    assert sign_flip_p([1, 2, 3, 4, 5]) == 1 / 32
    assert sign_flip_p([-1, 2, 3, 4, 5]) == 2 / 32
    assert sign_flip_p([-1, -2, -3]) == 1
    assert sign_flip_p([0.0, 0.0]) == 1


def test_sign_flips_of_many_groups_are_drawn():
    differences = np.random.default_rng(0).normal(0.3, 1, 40)
    expected = ttest_1samp(differences, 0, alternative="greater").pvalue
    assert sign_flip_p(differences) == pytest.approx(expected, abs=0.01)


def test_the_sign_flip_test_holds_its_level():
    rng = np.random.default_rng(1)
    rejected = np.mean([sign_flip_p(rng.standard_t(3, 6)) <= 0.05 for _ in range(2000)])
    assert rejected == pytest.approx(3 / 64, abs=0.02)
