"""ROC AUC at the same level: what a loop over pairs finds, blind to the level itself."""

import math
from dataclasses import replace

import numpy as np
import pytest

from falx.detect.rules import Rules
from falx.evaluation import levels
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.levels import score_levels
from falx.statistics import bootstrap_groups


def pairs_at_the_same_level(table):
    """Every pair of a positive and a negative slice, one by one."""
    labels, heights, planes = table["label"], table["level"], table["plane"]
    return [
        (up, down)
        for up in np.flatnonzero(labels != "no")
        for down in np.flatnonzero(labels == "no")
        if abs(heights[up] - heights[down]) <= 0.05 + 1e-9 and planes[up] == planes[down]
    ]


def loop_auc(scores, pairs, weights=None):
    weights = np.ones(len(scores)) if weights is None else weights
    won = sum(
        weights[up] * weights[down] * (1.0 if scores[up] > scores[down] else 0.5)
        for up, down in pairs
        if scores[up] >= scores[down]
    )
    return won / sum(weights[up] * weights[down] for up, down in pairs)


@pytest.mark.parametrize("slices", [6, 21, 24])
@pytest.mark.parametrize("seed", range(3))
def test_the_auc_is_that_of_a_loop_over_pairs(of_volumes, slices, seed, monkeypatch):
    """21 slices differ by exactly the tolerance; a chunk of 7 slices changes nothing."""
    found = of_volumes(patients=4, slices=slices, seed=seed, decimals=1)
    pairs = pairs_at_the_same_level(found.table)
    scored = score_levels(found)
    assert (scored.n, scored.groups, scored.pairs) == (4 * 2 * slices, 4, len(pairs))
    wanted = loop_auc(found.probabilities[0, :, 1], pairs)
    assert scored.same_level_auc.value == pytest.approx(wanted)
    monkeypatch.setattr(levels, "_CHUNK", 7)
    assert score_levels(found).same_level_auc.value == pytest.approx(wanted)


def test_the_interval_is_that_of_resampled_patients(of_volumes, monkeypatch):
    monkeypatch.setattr(levels, "RESAMPLES", 40)
    found = of_volumes(patients=10, volumes=1, slices=12)
    pairs = pairs_at_the_same_level(found.table)
    drawn = np.concatenate(list(bootstrap_groups(10, resamples=40)))[:, found.groups]
    replicates = [loop_auc(found.probabilities[0, :, 1], pairs, weights) for weights in drawn]
    auc = score_levels(found).same_level_auc
    assert (auc.low, auc.high) == pytest.approx(tuple(np.quantile(replicates, [0.025, 0.975])))


def test_of_repeats_the_mean_counts(of_volumes):
    found = of_volumes(repeats=3)
    alone = [
        score_levels(
            replace(
                found,
                probabilities=found.probabilities[[repeat]],
                distances=found.distances[[repeat]],
                folds=found.folds[[repeat]],
                rules=found.rules[:1],
            )
        )
        for repeat in range(3)
    ]
    together = score_levels(found).same_level_auc
    mean = np.mean([each.same_level_auc.value for each in alone])
    assert together.value == pytest.approx(mean)
    assert together.low < together.value < together.high


def test_a_detector_that_knows_only_the_level_is_near_chance(of_volumes):
    """Over all levels it looks good; within the tolerance little of that is left."""
    found = of_volumes(
        patients=40, positive=lambda labels, level: 1 - np.abs(level - 0.55), decimals=9
    )
    assert Evaluation(found, None).scores.estimates["roc_auc"].value > 0.7
    assert score_levels(found).same_level_auc.value == pytest.approx(0.5, abs=0.06)


def test_levels_of_two_planes_are_not_compared(of_volumes):
    found = of_volumes(patients=2, volumes=1)
    planes = np.where(found.table["patient"] == "p00", "axial", "sagittal")
    mixed = replace(found, table=found.table.assign(plane=planes))
    assert score_levels(mixed).pairs == len(pairs_at_the_same_level(mixed.table))
    assert score_levels(mixed).pairs < score_levels(found).pairs


def test_few_patients_have_a_value_and_no_interval(of_volumes):
    auc = score_levels(of_volumes(patients=5)).same_level_auc
    assert 0 < auc.value < 1
    assert math.isnan(auc.low)


def test_without_pairs_the_auc_is_undefined(of_volumes):
    found = of_volumes(patients=2)
    below = replace(
        found, table=found.table.assign(label=np.where(found.table["level"] < 0.5, "no", "yes"))
    ).take(np.flatnonzero(np.abs(found.table["level"] - 0.5) > 0.2))
    scored = score_levels(below)
    assert scored.pairs == 0
    assert str(scored.same_level_auc) == "undefined"


def test_single_slices_have_no_level(binary):
    found = Evaluation(binary(["no", "yes"], [0.1, 0.9]), None)
    assert found.levels is None
    assert "level" not in found.as_dict()


def of_three_classes(found, classes):
    p = found.probabilities[:, :, 1]
    kinds = np.where(np.arange(len(found)) % 2 == 0, *classes[1:])
    labels = np.where(found.table["label"] == "yes", kinds, classes[0])
    return replace(
        found,
        classes=classes,
        table=found.table.assign(label=labels),
        probabilities=np.stack([1 - p, p / 4, 3 * p / 4], axis=2),
        rules=((Rules(),),),
    )


def test_of_several_classes_any_tumor_stands_against_none(of_volumes):
    found = of_volumes(patients=10)
    several = of_three_classes(found, ("no", "glioma", "meningioma"))
    assert score_levels(several).same_level_auc.value == pytest.approx(
        score_levels(found).same_level_auc.value
    )
    assert score_levels(of_three_classes(found, ("a", "glioma", "meningioma"))) is None


def test_it_is_in_the_metrics(of_volumes):
    content = Evaluation(of_volumes(), None).as_dict()["level"]
    assert list(content) == ["n", "groups", "pairs", "tolerance", "same_level_auc"]
    auc = content["same_level_auc"]
    assert auc["low"] < auc["value"] < auc["high"]
