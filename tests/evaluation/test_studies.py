"""Slices of one study, patient or volume get one answer, by rules that validation chooses."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from falx.detect.rules import Rules
from falx.evaluation.studies import (
    find_studies,
    pooled_studies,
    score_studies,
)
from falx.serialization import to_json


def table(**columns):
    n = len(next(iter(columns.values())))
    blank = {
        "path": [f"{i}.png" for i in range(n)],
        "patient": [""] * n,
        "study": [""] * n,
        "volume": [""] * n,
        "contrast": [False] * n,
    }
    return pd.DataFrame(blank | columns)


def members(found):
    return [rows.tolist() for rows in found.rows]


def test_a_study_comes_before_a_volume_a_patient_and_a_file():
    found = find_studies(
        table(
            study=["s", "s", "", "", "", "", "", ""],
            volume=["v", "w", "v", "v", "", "", "", ""],
            patient=["p", "q", "p", "p", "p", "p", "", ""],
            path=["a", "b", "c", "c", "d", "e", "f", "f"],
        ),
        np.zeros(8, int),
    )
    assert members(found) == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_single_slices_make_no_study():
    assert members(find_studies(table(patient=["p", "q", ""]), np.zeros(3, int))) == []


def test_a_study_with_a_tumor_in_one_slice_has_a_tumor():
    found = find_studies(table(patient=["p", "p", "p", "q", "q"]), np.array([0, 1, 0, 0, 0]))
    assert found.labels.tolist() == [1, 0]


def test_among_several_classes_the_commonest_but_the_first_names_a_study():
    found = find_studies(table(patient=["p"] * 6), np.array([0, 0, 0, 2, 2, 1]))
    assert found.labels.tolist() == [2]


def test_a_study_has_the_mean_of_its_strongest_slices(binary):
    predictions = binary(["yes", "no", "yes", "no"], [0.9, 0.2, 0.5, 0.4], patients=list("pqpq"))
    found = find_studies(predictions.table, predictions.labels)
    np.testing.assert_allclose(pooled_studies(predictions, found, 0.0)[:, 1], [0.9, 0.4])
    np.testing.assert_allclose(pooled_studies(predictions, found, 1.0)[:, 1], [0.7, 0.3])


def test_a_study_without_a_suitable_series_is_not_pooled(binary):
    predictions = binary(["yes"] * 4, [0.9] * 4, patients=list("ppqq"), distances=[1, 1, 9, 9])
    found = find_studies(predictions.table, predictions.labels)
    pooled = pooled_studies(predictions, found, 0.5)
    np.testing.assert_allclose(pooled, [[0.1, 0.9], [np.nan, np.nan]])


def test_studies_are_scored_like_slices(binary):
    found = score_studies(
        binary(
            np.repeat(["no", "yes", "no", "yes"], 3),
            np.repeat([0.1, 0.8, 0.7, 0.9], 3),
            patients=list("aaabbbcccddd"),
        )
    )
    assert (found.scores.n, found.top_fraction, found.n_out_of_distribution) == (4, 0.1, 0)
    assert found.scores.estimates["accuracy"].value == pytest.approx(0.75)
    assert found.scores.confusion.tolist() == [[1, 1], [0, 2]]
    assert (found.as_dict()["n"], found.as_dict()["out_of_distribution"]) == (4, 0)


def test_without_studies_there_is_nothing_to_score(binary):
    assert score_studies(binary(["no"], [0.5])) is None


def pooled_one_by_one(found, repeat):
    """Probability and decision of each study, in order, by the rules of the fold it is in."""
    positive, answers = found.probabilities[repeat, :, 1], []
    for study in pd.unique(found.table["study"]):
        rows = np.flatnonzero(found.table["study"] == study)
        (fold,) = set(found.folds[repeat, rows])
        rules = found.rules[repeat][fold - 1]
        kept = rows[found.distances[repeat, rows] <= rules.ood_threshold]
        top = np.sort(positive[kept])[::-1][: max(1, round(rules.top_fraction * len(kept)))]
        answers.append((top.mean(), top.mean() >= rules.threshold))
    return np.array(answers).T


def test_studies_of_a_cross_validation_are_pooled_by_the_rules_of_their_fold(of_volumes):
    """Out-of-distribution slices are those of the fold's detector, too."""
    found = of_volumes(patients=24, volumes=1, repeats=2, folds=3)
    healthy = found.table["patient"].isin([f"p{number:02}" for number in range(0, 24, 2)])
    labels = np.where(healthy, "no", found.table["label"])
    rules = tuple(
        tuple(Rules(threshold=t, top_fraction=f, ood_threshold=2.0) for t, f in of_repeat)
        for of_repeat in (
            ((0.4, 0.1), (0.6, 0.5), (0.5, 0.0)),
            ((0.7, 0.1), (0.5, 0.25), (0.6, 1.0)),
        )
    )
    distances = np.where(np.random.default_rng(1).random((2, len(found))) < 0.2, 9.0, 1.0)
    found = replace(found, table=found.table.assign(label=labels), rules=rules, distances=distances)
    truth = [
        (found.table.loc[found.table["study"] == study, "label"] == "yes").any()
        for study in pd.unique(found.table["study"])
    ]
    each = [pooled_one_by_one(found, repeat) for repeat in (0, 1)]
    scored = score_studies(found)
    assert (scored.scores.n, scored.scores.groups, scored.scores.repeats) == (24, 24, 2)
    assert scored.top_fraction is None
    auc, accuracy = (scored.scores.estimates[name] for name in ("roc_auc", "accuracy"))
    assert auc.value == pytest.approx(np.mean([roc_auc_score(truth, p) for p, _ in each]))
    assert accuracy.value == pytest.approx(np.mean([(said == truth).mean() for _, said in each]))
    assert accuracy.low < accuracy.value < accuracy.high


def test_only_slices_that_show_brain_are_pooled(of_volumes):
    """As a detector does: a skull base that looks like a tumor says nothing."""
    found = of_volumes(
        patients=3, volumes=1, positive=lambda labels, level: np.where(level < 0.3, 0.95, 0.2)
    )
    region = np.where(found.table["level"] < 0.3, "skull base", "brain")
    as_one = score_studies(found).scores.confusion
    brain = score_studies(replace(found, table=found.table.assign(region=region)))
    assert as_one.tolist() == [[0, 0], [0, 3]]
    assert brain.scores.confusion.tolist() == [[0, 0], [3, 0]]


def test_a_study_of_several_series_is_answered_by_one(of_volumes):
    """An axial series before a sagittal one, though that has more slices."""
    found = of_volumes(patients=3, volumes=1, decimals=9)
    sagittal = (found.table["level"] > 0.3).to_numpy()
    series = np.where(sagittal, "sagittal", "axial")
    table = found.table.assign(series=series, plane=series, volume=series)
    p = np.where(sagittal, 0.99, found.probabilities[0, :, 1])
    several = replace(found, table=table, probabilities=np.stack([1 - p, p], axis=1)[None])
    axial = [p[(table["patient"] == name) & ~sagittal] for name in ("p00", "p01", "p02")]
    scored = score_studies(several).scores
    assert scored.support == {"no": 0, "yes": 3}
    log_loss = -np.log([each.max() for each in axial]).mean()
    assert scored.estimates["log_loss"].value == pytest.approx(log_loss)


def test_a_study_rejected_in_one_repeat_is_not_scored_in_the_others(of_volumes):
    found = of_volumes(patients=4, volumes=1, repeats=2)
    distances = found.distances.copy()
    distances[1, (found.table["patient"] == "p02").to_numpy()] = 9.0
    scored = score_studies(replace(found, distances=distances))
    assert (scored.scores.n, scored.n_out_of_distribution) == (3, 1)


def test_where_all_studies_have_a_tumor_the_auc_is_undefined(of_volumes):
    """As of glioblastoma patients: sensitivity is known, specificity and AUC are not."""
    scored = score_studies(of_volumes(patients=5, folds=5))
    assert scored.scores.support == {"no": 0, "yes": 10}
    undefined = {name for name, each in scored.scores.estimates.items() if np.isnan(each.value)}
    assert {"roc_auc", "specificity", "balanced_accuracy"} <= undefined
    assert 0 <= scored.scores.estimates["sensitivity"].value <= 1
    content = to_json(scored)
    assert content["roc_auc"] == {"value": None, "low": None, "high": None}
    assert json.dumps(content, allow_nan=False)


def test_without_a_negative_class_the_commonest_label_counts():
    labels = np.array([0] * 9 + [1])
    found = find_studies(table(patient=["p"] * 10), labels, negative=False)
    assert found.labels.tolist() == [0]
