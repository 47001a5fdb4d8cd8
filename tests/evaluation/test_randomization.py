"""Randomization: heat maps of randomized networks, reproducible, and mirrored as the detector's."""

import math

import numpy as np
import pytest

from falx.evaluation.randomization import STAGES, RandomizationScores
from falx.evaluation.shuffling import score_randomization
from falx.model.network import build_network
from falx.recipe import load_recipe
from falx.serialization import to_json
from falx.statistics import Estimate

SMALL = {"rendering.size": "96", "backbone.width": "0.35"}
VIEWS = np.random.default_rng(0).integers(0, 256, (6, 96, 96), np.uint8)


CHANGED = Estimate(0.2, 0.1, 0.3)


def scores(last: Estimate, head: Estimate = CHANGED) -> RandomizationScores:
    return RandomizationScores(12, dict(zip(STAGES, (head, head, last), strict=True)))


@pytest.mark.parametrize("classes", [2, 4])
def test_randomized_maps_differ_and_the_same_seed_gives_the_same(classes):
    recipe = load_recipe("lite").changed(SMALL)

    def scored(seed):
        network = build_network(recipe, classes, seed=1)
        return score_randomization(network, VIEWS, [1] * 6, range(6), seed=seed)

    first = scored(0)
    assert list(first.correlation) == list(STAGES)
    assert first.n == 6
    for value in first.correlation.values():
        assert -1 <= value.value <= 1
    assert to_json(scored(0)) == to_json(first)
    assert to_json(scored(1)) != to_json(first)


def test_with_test_time_augmentation_mirrored_views_score_the_same():
    recipe = load_recipe("lite").changed(SMALL)

    def correlations(views, flip_tta):
        network = build_network(recipe, 2, seed=1)
        scored = score_randomization(network, views, [1] * 6, range(6), flip_tta=flip_tta)
        return [value.value for value in scored.correlation.values()]

    mirrored = VIEWS[:, :, ::-1]
    assert correlations(mirrored, True) == pytest.approx(correlations(VIEWS, True), abs=0.01)
    assert correlations(mirrored, False) != pytest.approx(correlations(VIEWS, False), abs=0.01)


def test_maps_that_stay_similar_do_not_pass():
    assert scores(Estimate(0.1, 0, 0.2)).passed
    assert not scores(Estimate(0.45, 0.3, 0.6)).passed


def test_without_an_interval_there_is_no_verdict():
    found = scores(Estimate(0.1, math.nan, math.nan))
    assert found.passed is None
    assert to_json(found)["passed"] is None


def test_the_verdict_is_in_the_json():
    content = to_json(scores(Estimate(0.1, 0, 0.2)))
    assert content["passed"] is True
    assert content["correlation"]["all"] == {"value": 0.1, "low": 0, "high": 0.2}


def test_maps_may_survive_a_randomized_head():
    last = Estimate(0.1, 0, 0.2)
    assert not scores(last).survives_random_head
    assert scores(last, head=Estimate(0.6, 0.5, 0.7)).survives_random_head
