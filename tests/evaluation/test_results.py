"""Predictions on known slices, and what a run keeps of them: tables, numbers, mistakes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from falx.data.catalog import Catalog
from falx.detect.finding import Finding, study_findings
from falx.detect.rules import Rules
from falx.evaluation.report import Mistake
from falx.evaluation.results import Results, draw_figures, write_results

PARTS = ["validation", "test", "test", "test", "test"]
LABELS = ["no", "yes", "no", "yes", "no"]
POSITIVE = [0.9, 0.35, 0.2, 0.05, 0.75]
"""The test part: a tumor missed narrowly, one right, one missed badly, one false alarm."""


def catalog(labels, classes, patients=None):
    n = len(labels)
    table = pd.DataFrame(
        {
            "path": [f"{label}/{row}, cut.png" for row, label in enumerate(labels)],
            "index": 0,
            "label": labels,
            "group": np.arange(n) // 2,
            "patient": patients or [""] * n,
            "study": "",
        }
    )
    return Catalog(Path("data"), classes, table)


def results(labels, parts, probabilities, classes, *, threshold=0.5, patients=None):
    n = len(labels)
    return Results.of(
        catalog(labels, classes, patients),
        np.arange(n),
        np.array(parts),
        probabilities,
        np.ones(n),
        rules=Rules(threshold=threshold, limit=2.0),
        views=np.full((n, 32, 32), 128, np.uint8),
    )


def binary(labels, parts, positive, **options):
    p = np.array(positive)
    return results(labels, parts, np.column_stack([1 - p, p]), ("no", "yes"), **options)


@pytest.fixture
def five():
    return binary(LABELS, PARTS, POSITIVE, threshold=0.4)


@pytest.fixture
def written(five, tmp_path):
    test = five.part("test")
    write_results(
        tmp_path,
        five,
        test.scores(),
        test.trust(test.scores()),
        studies=None,
        without_twins={"n": 3},
    )
    return tmp_path


def many(classes, n=200, seed=0):
    """Labels, and probabilities that lean towards them: a detector that is right most times."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(classes), n)
    leaning = rng.random((n, len(classes))) + 0.8 * np.eye(len(classes))[labels]
    return labels, leaning / leaning.sum(axis=1, keepdims=True)


def test_results_are_in_the_order_of_the_rows_asked_for():
    usable = catalog(["no", "yes", "no"], ("no", "yes"))
    found = Results.of(
        usable,
        np.array([2, 1]),
        np.array(["validation", "test"]),
        np.array([[0.9, 0.1], [0.3, 0.7]]),
        np.ones(2),
        rules=Rules(),
        views=np.zeros((2, 32, 32), np.uint8),
    )
    assert found.table["path"].tolist() == ["no/2, cut.png", "yes/1, cut.png"]
    assert found.labels.tolist() == [0, 1]
    assert found.groups.tolist() == [1, 0]
    assert found.predicted.tolist() == ["no", "yes"]


def test_a_part_holds_its_own_slices_alone(five):
    test = five.part("test")
    assert test.table["path"].tolist() == five.table["path"].tolist()[1:]
    np.testing.assert_array_equal(test.probabilities[:, 1], POSITIVE[1:])
    assert test.rows.tolist() == five.rows.tolist()[1:]
    assert len(test.labels) == 4


def test_predictions_have_a_row_a_slice_of_every_part(written):
    table = pd.read_csv(written / "predictions.csv")
    assert table.columns.tolist() == [
        "path", "index", "group", "label", "part", "predicted", "status", "distance", "p_no",
        "p_yes",
    ]  # fmt: skip
    assert table["path"].tolist() == [f"{label}/{n}, cut.png" for n, label in enumerate(LABELS)]
    assert table["part"].tolist() == PARTS
    assert table["label"].tolist() == LABELS
    assert table["group"].tolist() == [0, 0, 1, 1, 2]
    assert table["predicted"].tolist() == ["yes", "no", "no", "no", "yes"]
    assert table["p_yes"].tolist() == pytest.approx(POSITIVE, abs=1e-15)


def test_errors_are_those_of_the_test_the_worst_first(written):
    """Worst is the slice whose true class got the least; the validation's error is left out."""
    table = pd.read_csv(written / "errors.csv")
    assert table["path"].tolist() == ["yes/3, cut.png", "no/4, cut.png", "yes/1, cut.png"]
    assert table["predicted"].tolist() == ["no", "yes", "no"]
    assert set(table["part"]) == {"test"}


def test_mistakes_show_the_probability_of_the_positive_class(five):
    assert five.part("test").mistakes() == (
        Mistake("yes/3, cut.png", "yes", "no", 0.05),
        Mistake("no/4, cut.png", "no", "yes", 0.75),
        Mistake("yes/1, cut.png", "yes", "no", 0.35),
    )


def test_mistakes_among_several_classes_show_that_of_the_label_given():
    found = results(["a", "b"], ["test"] * 2, np.array([[0.1, 0.2, 0.7], [0, 1, 0]]), tuple("abc"))
    assert found.mistakes() == (Mistake("a/0, cut.png", "a", "c", 0.7),)


def test_without_a_mistake_the_table_of_errors_has_its_header_alone(tmp_path):
    right = binary(["no", "yes"], ["test"] * 2, [0.1, 0.9])
    write_results(tmp_path, right, right.scores(), right.trust(right.scores()))
    assert len(right.wrong) == 0
    assert (tmp_path / "errors.csv").read_text().splitlines() == [
        "path,index,group,label,part,predicted,status,distance,p_no,p_yes"
    ]


def test_metrics_are_those_of_the_test(written):
    content = json.loads((written / "metrics.json").read_text("utf-8"))
    assert (content["split"], content["n"], content["groups"]) == ("test", 4, 3)
    assert content["classes"] == ["no", "yes"]
    assert content["confusion"] == [[1, 1], [2, 0]]
    assert content["accuracy"]["value"] == 0.25
    assert content["sensitivity"]["value"] == 0
    assert content["specificity"]["value"] == 0.5


def test_further_entries_are_kept_where_there_are_any(written):
    content = json.loads((written / "metrics.json").read_text("utf-8"))
    assert content["without_twins"] == {"n": 3}
    assert "studies" not in content


def test_what_is_undefined_is_null_in_the_file(tmp_path):
    """Without a positive there is no sensitivity; JSON has no word for NaN."""
    found = binary(["no", "no"], ["test"] * 2, [0.1, 0.2])
    write_results(tmp_path, found, found.scores(), found.trust(found.scores()))
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["sensitivity"] == {"value": None, "low": None, "high": None}
    assert content["specificity"]["value"] == 1


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.6])
def test_the_numbers_are_those_of_scikit_learn(tmp_path, threshold):
    labels, chances = many(("no", "yes"))
    found = results(
        np.array(["no", "yes"])[labels], ["test"] * 200, chances, ("no", "yes"), threshold=threshold
    )
    write_results(tmp_path, found, found.scores(), found.trust(found.scores()))
    written = pd.read_csv(tmp_path / "predictions.csv")
    truth, given, p = (written["label"] == "yes", written["predicted"] == "yes", written["p_yes"])
    expected = {
        "accuracy": metrics.accuracy_score(truth, given),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, given),
        "sensitivity": metrics.recall_score(truth, given),
        "specificity": metrics.recall_score(truth, given, pos_label=False),
        "precision": metrics.precision_score(truth, given),
        "f1": metrics.f1_score(truth, given),
        "roc_auc": metrics.roc_auc_score(truth, p),
        "average_precision": metrics.average_precision_score(truth, p),
        "log_loss": metrics.log_loss(truth, p),
        "brier": metrics.brier_score_loss(truth, p),
        "mcc": metrics.matthews_corrcoef(truth, given),
    }
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert {name: content[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert content["confusion"] == metrics.confusion_matrix(truth, given).tolist()
    for name in expected:
        assert content[name]["low"] <= content[name]["value"] <= content[name]["high"]


def test_the_numbers_of_several_classes_are_those_of_scikit_learn():
    classes = ("glioma", "meningioma", "notumor", "pituitary")
    labels, chances = many(classes)
    found = results(np.array(classes)[labels], ["test"] * 200, chances, classes)
    scores = found.scores()
    truth, given = found.table["label"], found.predicted
    expected = {
        "accuracy": metrics.accuracy_score(truth, given),
        "f1": metrics.f1_score(truth, given, average="macro"),
        "roc_auc": metrics.roc_auc_score(truth, chances, multi_class="ovr", average="macro"),
        "log_loss": metrics.log_loss(truth, chances),
        "mcc": metrics.matthews_corrcoef(truth, given),
    }
    actual = {name: scores.estimates[name].value for name in expected}
    assert actual == pytest.approx(expected, abs=1e-12)
    table = metrics.classification_report(truth, given, output_dict=True)
    for name in classes:
        row = {metric: scores.by_class[name][metric].value for metric in scores.by_class[name]}
        assert row["precision"] == pytest.approx(table[name]["precision"])
        assert row["recall"] == pytest.approx(table[name]["recall"])


def test_scores_without_twins_count_what_is_left(five):
    left = five.scores_without(np.array([True, False, False, False, False]))
    assert left.as_dict() == five.part("test").scores().as_dict()


@pytest.mark.parametrize(
    "left_out",
    [[False] * 5, [True] * 5, [False, True, False, True, False]],
    ids=["none", "all", "a whole class"],
)
def test_scores_without_twins_are_none_where_they_would_say_nothing(five, left_out):
    assert five.scores_without(np.array(left_out)) is None


def test_slices_of_one_patient_are_also_scored_together():
    found = binary(
        ["no", "no", "yes", "yes"],
        ["test"] * 4,
        [0.1, 0.3, 0.2, 0.8],
        patients=["p", "p", "q", "q"],
    )
    assert found.scores().estimates["accuracy"].value == 0.75
    together = found.study_scores()
    assert (together["share"], together["n"]) == (0.1, 2)
    assert together["accuracy"]["value"] == 1
    diluted = replace(found, rules=Rules(study_share=1.0)).study_scores()
    assert diluted["accuracy"]["value"] == 1
    assert math.isclose(diluted["log_loss"]["value"], -np.log([0.8, 0.5]).mean())


def test_studies_are_scored_by_the_answers_that_predict_gives():
    """A foreign slice counts in no study, and a study of such slices alone has no answer."""
    positive = [0.1, 0.9, 0.8, 0.2, 0.9, 0.9, 0.3, 0.6]
    found = binary(
        ["no", "no", "yes", "yes", "no", "no", "yes", "yes"],
        ["test"] * 8,
        positive,
        patients=list("ppqqrrss"),
    )
    found = replace(found, distances=np.array([1, 9, 1, 1, 9, 9, 9, 1]))
    studies = study_findings(
        [
            Finding(Path("slice"), 0, status, 1.0, patient, "", p, {"no": 1 - p, "yes": p})
            for status, patient, p in zip(found.statuses, "ppqqrrss", positive, strict=True)
        ],
        found.classes,
        found.rules,
    )
    answered = {each.study: each.probability for each in studies if each.status != "foreign"}
    assert answered == pytest.approx({"p": 0.1, "q": 0.8, "s": 0.6})
    scored = found.study_scores()
    assert (scored["n"], scored["refused"]) == (3, 1)
    assert scored["confusion"] == [[1, 0], [0, 2]]
    assert scored["log_loss"]["value"] == pytest.approx(-np.log([0.9, 0.8, 0.6]).mean())


def test_where_all_studies_are_refused_there_is_nothing_to_score():
    found = binary(["no", "no"], ["test"] * 2, [0.1, 0.2], patients=["p", "p"])
    assert replace(found, distances=np.array([9, 9])).study_scores() is None


def test_without_a_patient_there_are_no_studies(five):
    assert five.study_scores() is None


def test_figures_are_files_in_the_order_of_the_report(five, tmp_path):
    test = five.part("test")
    drawn = draw_figures(tmp_path / "figures", test, test.scores())
    assert [figure.path.name for figure in drawn] == [
        "confusion_matrix.png", "roc.png", "precision_recall.png", "probabilities.png",
        "calibration.png", "samples.png", "worst_errors.png",
    ]  # fmt: skip
    for figure in drawn:
        assert figure.path.read_bytes().startswith(b"\x89PNG")
