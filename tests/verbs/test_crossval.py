"""`crossval` leaves a whole folder, the same keys as a training, and a report of its own."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

import falx
from falx.training import folds as crossval


@pytest.fixture(scope="module")
def done(phantoms, short, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "crossval"
    return falx.crossval(
        phantoms, folds=3, repeats=2, changes=short, weights="random", seed=4, out=out
    )


def test_the_folder_is_whole(done):
    names = {item.name for item in done.folder.iterdir()}
    assert names == {
        "recipe.yaml", "catalog.parquet", "history.csv", "predictions.csv", "errors.csv",
        "label_issues.csv", "metrics.json", "run.json", "environment.json", "figures", "report.html",
        "log.jsonl",
    }  # fmt: skip


def test_the_numbers_are_those_of_the_predictions(done):
    table = pd.read_csv(done.folder / "predictions.csv")
    assert len(table) == 2 * 60
    each = [rows for _, rows in table.groupby("repeat")]
    metrics = json.loads((done.folder / "metrics.json").read_text())
    accuracy = np.mean([accuracy_score(rows["label"], rows["predicted"]) for rows in each])
    auc = np.mean([roc_auc_score(rows["label"] == "yes", rows["p_yes"]) for rows in each])
    assert metrics["accuracy"]["value"] == pytest.approx(accuracy)
    assert metrics["roc_auc"]["value"] == pytest.approx(auc)
    assert metrics["n"] == 60
    assert (metrics["folds"], metrics["repeats"], len(metrics["by_fold"])) == (3, 2, 6)
    fold = metrics["by_fold"][4]
    rows = table[(table["repeat"] == 2) & (table["fold"] == 2)]
    assert (fold["repeat"], fold["fold"], fold["n"]) == (2, 2, len(rows))
    assert fold["accuracy"] == pytest.approx(accuracy_score(rows["label"], rows["predicted"]))


def test_no_group_is_tested_by_a_network_that_saw_it(done):
    table = pd.read_csv(done.folder / "predictions.csv")
    assert (table.groupby(["repeat", "group"])["fold"].nunique() == 1).all()


def test_the_history_names_repeat_and_fold(done):
    history = pd.read_csv(done.folder / "history.csv")
    assert list(history.columns[:3]) == ["repeat", "fold", "epoch"]
    assert len(history) == 6


def test_the_report_shows_folds_and_repeated_errors(done):
    text = (done.folder / "report.html").read_text()
    assert "By fold" in text
    assert "leak-free 3-fold cross-validation, 2 repeats" in text.lower()
    assert "Misclassified in" in text
    assert "--folds 3 --repeats 2" in text
    assert "falx train" in text


def test_errors_are_listed_with_how_often_they_repeat(done):
    errors = pd.read_csv(done.folder / "errors.csv")
    table = pd.read_csv(done.folder / "predictions.csv")
    wrong = table[table["label"] != table["predicted"]].groupby("path").size()
    assert dict(zip(errors["path"], errors["times"], strict=True)) == wrong.to_dict()
    assert errors["times"].is_monotonic_decreasing


def test_label_issues_are_listed_counted_and_reported(done):
    label_issues = pd.read_csv(done.folder / "label_issues.csv")
    assert list(label_issues.columns) == [
        "path", "index", "group", "label", "suggested", "probability", "times",
    ]  # fmt: skip
    table = pd.read_csv(done.folder / "predictions.csv")
    mean = table.groupby("path")[["p_no", "p_yes"]].mean()
    for issue in label_issues.itertuples():
        assert issue.probability == pytest.approx(mean.loc[issue.path, f"p_{issue.label}"])
        assert issue.suggested != issue.label
    metrics = json.loads((done.folder / "metrics.json").read_text())
    assert (
        metrics["label_issues"]
        == len(label_issues)
        == len(done.evaluation.label_check.label_issues)
    )
    assert "Label issues" in (done.folder / "report.html").read_text()


def test_folds_without_an_ood_threshold_reject_nothing_and_warn(
    phantoms, short, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(crossval, "fit_ood_threshold", lambda *_: None)
    with caplog.at_level(logging.WARNING, "falx"):
        done = falx.crossval(
            phantoms, folds=2, changes=short, weights="random", out=tmp_path / "run"
        )
    assert "In 2 of 2 folds the OOD threshold can't be estimated" in caplog.text
    assert set(pd.read_csv(done.folder / "predictions.csv")["status"]) <= {"answer", "refer"}
    (rules,) = json.loads((done.folder / "run.json").read_text())["rules"]
    assert [fold["ood_threshold"] for fold in rules] == [None, None]


def test_a_cross_validation_read_back_is_the_one_that_was_written(done):
    read = falx.open_run(done.folder)
    assert read.kind == "cross-validation"
    assert read.evaluation.as_dict() == done.evaluation.as_dict()
    assert read.record.command_of("train") == done.record.command_of("train")


def test_the_command_that_trains_a_detector_by_the_same_recipe_is_named(done, phantoms):
    assert done.record.command_of("train").startswith(f"falx train {phantoms} --set ")
    assert "--folds" not in done.record.command_of("train")
