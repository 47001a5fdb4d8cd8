"""`crossval` leaves a whole folder, the same keys as a training, and a report of its own."""

import json
import logging
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

import falx
from falx.errors import BadInput, UnusableData
from falx.phantoms import write_phantoms
from falx.training import folds as crossval


@pytest.fixture(scope="module")
def done(phantoms, quick, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "crossval"
    return falx.crossval(phantoms, folds=3, repeats=2, changes=quick, seed=4, out=out)


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
    phantoms, quick, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(crossval, "fit_ood_threshold", lambda *_: None)
    with caplog.at_level(logging.WARNING, "falx"):
        done = falx.crossval(phantoms, folds=2, changes=quick, out=tmp_path / "run")
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


@pytest.fixture(scope="module")
def several(phantoms, mixed, quick, tmp_path_factory):
    """Leave-one-source-out on two datasets, one of which has near-copies of slices of the other."""
    return falx.crossval(
        [phantoms, mixed],
        leave_one_source_out=True,
        changes=quick,
        out=tmp_path_factory.mktemp("runs") / "sources",
    )


def test_each_source_is_tested_by_a_network_that_saw_none_of_it(several):
    table = pd.read_csv(several.folder / "predictions.csv")
    assert table.groupby("source")["fold"].agg(["nunique", "first", "size"]).to_dict() == {
        "nunique": {"mixed": 1, "phantoms": 1},
        "first": {"mixed": 2, "phantoms": 1},
        "size": {"mixed": 35, "phantoms": 60},
    }
    usable = several.catalog.usable()
    for fold in crossval.make_source_folds(usable, repeats=1, seed=0):
        seen = np.concatenate([fold.split.train, fold.split.validation])
        assert fold.number - 1 not in usable.sources[seen]
        assert not set(usable.groups[seen]) & set(usable.groups[fold.split.test])
        assert len(fold.split.excluded) == 5


def test_the_numbers_by_source_are_those_of_its_predictions(several):
    metrics = json.loads((several.folder / "metrics.json").read_text())
    table = pd.read_csv(several.folder / "predictions.csv")
    assert [each["source"] for each in metrics["by_source"]] == ["phantoms", "mixed"]
    for each in metrics["by_source"]:
        rows = table[table["source"] == each["source"]]
        positive = rows["label"] == "yes"
        assert (each["n"], each["groups"]) == (len(rows), rows["group"].nunique())
        assert each["roc_auc"]["value"] == pytest.approx(roc_auc_score(positive, rows["p_yes"]))
        assert each["accuracy"]["value"] == pytest.approx(
            accuracy_score(rows["label"], rows["predicted"])
        )
        assert each["sensitivity"]["value"] == pytest.approx(
            (rows["predicted"] == "yes")[positive].mean()
        )
        rejected = (rows["status"] == "out_of_distribution").mean()
        assert each["out_of_distribution"]["value"] == pytest.approx(rejected)
        assert each["related"] == 5
        others = table[table["source"] != each["source"]]
        unrelated = others[~others["group"].isin(rows["group"])]
        assert each["unrelated_groups"] == unrelated.groupby("label")["group"].nunique().to_dict()


def test_the_record_and_the_report_name_every_dataset(several, phantoms, mixed):
    record = several.record
    assert record.title == "localized on phantoms + mixed"
    assert record.split == "leave-one-source-out, 2 sources"
    assert record.command.startswith(f"falx crossval {phantoms} {mixed} --set ")
    assert record.command.endswith("--leave-one-source-out")
    assert "--leave-one-source-out" not in record.command_of("train")
    text = (several.folder / "report.html").read_text()
    assert "By source" in text
    assert "By fold" not in text
    assert "No slice was tested by a network that saw its source." in text
    left_out = "5 slices when “phantoms” was tested and 5 slices when “mixed” was tested"
    assert f"Left out of training were {left_out}." in text


def test_sources_read_back_are_those_that_were_written(several):
    assert falx.open_run(several.folder).evaluation.as_dict() == several.evaluation.as_dict()


def test_a_source_of_one_class_is_tested_for_what_it_can_be(phantoms, quick, tmp_path):
    """Its AUC is undefined; and a class that only one source has can't be learned without it."""
    healthy = tmp_path / "healthy"
    write_phantoms(tmp_path / "others", 24, seed=21, size=96)
    shutil.copytree(tmp_path / "others" / "no", healthy / "no")
    with pytest.raises(UnusableData, match="Without 'phantoms'"):
        falx.crossval([phantoms, healthy], leave_one_source_out=True)
    done = falx.crossval(
        [phantoms, healthy],
        folds=2,
        changes=quick,
        out=tmp_path / "run",
    )
    scores = {each.source: each for each in done.evaluation.by_source}
    assert np.isnan(scores["healthy"].estimates["roc_auc"].value)
    assert np.isnan(scores["healthy"].estimates["sensitivity"].value)
    assert 0 <= scores["healthy"].estimates["specificity"].value <= 1
    text = (done.folder / "report.html").read_text()
    assert "“healthy” has slices of “no” only, so its AUC is undefined." in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 3}, "--leave-one-source-out makes a fold of each dataset"),
        ({}, "--leave-one-source-out needs at least two datasets"),
    ],
)
def test_leave_one_source_out_is_refused_where_it_makes_no_sense(phantoms, options, message):
    with pytest.raises(BadInput, match=message):
        falx.crossval(phantoms, leave_one_source_out=True, **options)
