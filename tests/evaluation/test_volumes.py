"""Lesions found and false positives a volume: what a loop over volumes and thresholds finds."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from falx.detect.rules import Rules
from falx.evaluation import free_response as module
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.volumes import find_volumes, score_volumes
from falx.serialization import to_json
from falx.statistics import bootstrap_groups


def by_volume(found, repeat=0):
    """Of each volume its group, and of each slice, by level, whether it has a tumor and a score."""
    table = found.table.assign(score=found.probabilities[repeat, :, 1])
    return [
        (rows["group"].iat[0], (rows["label"] == "yes").tolist(), rows["score"].tolist())
        for _, rows in table.sort_values("level").groupby("volume")
    ]


def lesion_scores(tumors, scores):
    """The highest score of each run of slices with tumor."""
    runs, before = [], False
    for tumor, score in zip(tumors, scores, strict=True):
        if tumor and before:
            runs[-1] = max(runs[-1], score)
        elif tumor:
            runs.append(score)
        before = tumor
    return runs


def at_threshold(slices, threshold):
    """False positives a volume and sensitivity, counted."""
    lesions = [each for _, tumors, scores in slices for each in lesion_scores(tumors, scores)]
    raised = sum(
        score >= threshold and not tumor
        for _, tumors, scores in slices
        for tumor, score in zip(tumors, scores, strict=True)
    )
    found = sum(score >= threshold for score in lesions)
    return raised / len(slices), found / len(lesions) if lesions else math.nan


def best_at(slices, rate):
    """The highest sensitivity of all thresholds with at most so many false positives a volume."""
    thresholds = {score for _, _, scores in slices for score in scores} | {2.0}
    points = [at_threshold(slices, threshold) for threshold in thresholds]
    return max(sensitivity for raised, sensitivity in points if raised <= rate + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_that_of_a_loop_over_thresholds(of_volumes, seed):
    found = of_volumes(patients=4, slices=15, seed=seed, decimals=1)
    slices = by_volume(found)
    curve = score_volumes(found).curve
    thresholds = sorted({score for _, _, scores in slices for score in scores}, reverse=True)
    wanted = [(0.0, 0.0)] + [at_threshold(slices, threshold) for threshold in thresholds]
    # A score that only slices of a lesion have, and not its highest, is no step of the curve.
    steps = sorted(set(wanted))
    points = zip(curve.false_positives.tolist(), curve.sensitivity.tolist(), strict=True)
    np.testing.assert_allclose(sorted(set(points)), steps)
    assert (np.diff(curve.false_positives) >= 0).all()
    assert (np.diff(curve.sensitivity) >= 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_sensitivity_is_the_highest_with_at_most_so_many_false_positives(of_volumes, seed):
    found = of_volumes(patients=4, slices=15, seed=seed)
    slices = by_volume(found)
    values = {rate: each.value for rate, each in score_volumes(found).sensitivity_at.items()}
    assert values == pytest.approx({rate: best_at(slices, rate) for rate in (1, 2, 4)})


def test_numbers_at_the_operating_point_are_counted(of_volumes):
    found = replace(of_volumes(patients=12), rules=((Rules(threshold=0.47),),))
    slices = by_volume(found)
    scored = score_volumes(found)
    raised, sensitivity = at_threshold(slices, 0.47)
    assert (scored.n, scored.groups) == (24, 12)
    assert scored.lesions == sum(len(lesion_scores(*each[1:])) for each in slices)
    assert scored.tumor_free_slices == (found.table["label"] == "no").sum() / 24
    assert scored.false_positives.value == pytest.approx(raised)
    assert scored.sensitivity.value == pytest.approx(sensitivity)
    for estimate in (scored.false_positives, scored.sensitivity):
        assert estimate.low < estimate.value < estimate.high


def test_intervals_resample_patients_with_all_their_volumes(of_volumes, monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 40)
    found = of_volumes(patients=10, slices=10)
    slices = by_volume(found)
    drawn = [
        best_at([each for each in slices for _ in range(times[each[0]])], 1)
        for times in np.concatenate(list(bootstrap_groups(10, resamples=40)))
    ]
    estimate = score_volumes(found).sensitivity_at[1]
    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_of_repeats_the_mean_counts(of_volumes):
    found = of_volumes(patients=10, repeats=2)
    slices = [by_volume(found, repeat) for repeat in (0, 1)]
    scored = score_volumes(found)
    points = np.array([at_threshold(each, 0.5) for each in slices]).mean(axis=0)
    assert (scored.false_positives.value, scored.sensitivity.value) == pytest.approx(tuple(points))
    wanted = np.mean([best_at(each, 2) for each in slices])
    assert scored.sensitivity_at[2].value == pytest.approx(wanted)
    assert scored.curve.sensitivity[-1] == 1
    assert scored.curve.false_positives[-1] == pytest.approx(scored.tumor_free_slices)


def small(of_volumes, labels, scores, volume=None):
    """Slices of one or more volumes in order of level."""
    n = len(labels)
    found = of_volumes(patients=1, volumes=1, slices=n)
    table = pd.DataFrame(
        {
            "path": "v", "index": range(n), "label": [("no", "yes")[label] for label in labels],
            "group": 0, "volume": volume or ["v"] * n, "level": np.linspace(0, 1, n),
            "plane": "axial", "patient": "p", "study": "",
        }
    )  # fmt: skip
    p = np.array(scores)
    return replace(found, table=table, probabilities=np.column_stack([1 - p, p])[None])


def test_a_lesion_is_a_run_of_adjacent_slices(of_volumes):
    """Two runs in the first volume; one begins at the end of it and another in the next volume."""
    found = small(
        of_volumes,
        [0, 1, 1, 0, 1, 1, 0],
        [0.1, 0.2, 0.9, 0.7, 0.3, 0.4, 0.8],
        volume=["a"] * 5 + ["b"] * 2,
    )
    assert find_volumes(found).lesion.tolist() == [-1, 0, 0, -1, 1, 2, -1]
    scored = score_volumes(found)
    assert (scored.n, scored.lesions) == (2, 3)
    assert scored.sensitivity.value == pytest.approx(1 / 3)
    assert scored.false_positives.value == 1


def test_a_rejected_slice_counts_too(of_volumes):
    """Lesions and false positives would disappear with the slices that a detector rejects."""
    found = of_volumes(patients=3)
    rejected = replace(found, distances=np.full_like(found.distances, 99.0))
    assert set(rejected.statuses[0]) == {"out_of_distribution"}
    assert to_json(score_volumes(rejected)) == to_json(score_volumes(found))


def test_volumes_without_a_tumor_have_false_positives_and_no_sensitivity(of_volumes):
    found = of_volumes(patients=12)
    healthy = replace(found, table=found.table.assign(label="no"))
    scored = score_volumes(healthy)
    assert scored.lesions == 0
    assert scored.false_positives.value > 0
    assert str(scored.sensitivity) == str(scored.sensitivity_at[1]) == "undefined"
    assert np.isnan(scored.curve.sensitivity).all()
    assert json.dumps(to_json(scored), allow_nan=False)


def test_lesions_that_are_all_found_have_the_exact_interval_of_the_patients(of_volumes):
    found = of_volumes(patients=5, positive=lambda labels, level: 0.9 * labels)
    sensitivity = score_volumes(found).sensitivity
    assert (sensitivity.value, sensitivity.low) == pytest.approx((1, 0.025 ** (1 / 5)))
    assert str(score_volumes(found).false_positives) == "0.000"


def test_five_patients_have_values_and_no_intervals(of_volumes):
    scored = score_volumes(of_volumes(patients=5))
    assert math.isnan(scored.false_positives.low)
    assert math.isnan(scored.sensitivity_at[1].low)


def test_single_slices_make_no_volume(binary):
    found = Evaluation(binary(["no", "yes"], [0.1, 0.9]), None)
    assert found.volumes is None
    assert "volumes" not in found.as_dict()


def test_it_is_in_the_metrics_without_the_points_of_the_curve(of_volumes):
    content = Evaluation(of_volumes(), None).as_dict()["volumes"]
    assert list(content) == [
        "n", "groups", "lesions", "tumor_free_slices", "sensitivity", "false_positives",
        "sensitivity_at",
    ]  # fmt: skip
    assert list(content["sensitivity_at"]) == ["1", "2", "4"]
