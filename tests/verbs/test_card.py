"""`card` needs nothing but the run, and a run that can't be used is named in one sentence."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, recall_score

import falx
from falx.data.catalog import Catalog
from falx.detect.settings import SCHEMA
from falx.errors import BadInput, BrokenRun
from falx.notice import NOTICE
from falx.runs.folder import PARTIAL
from falx.runs.reading import open_run


@pytest.fixture(scope="module")
def cross_validation(phantoms, quick, tmp_path_factory):
    """A cross-validation of two repeats."""
    out = tmp_path_factory.mktemp("runs") / "crossval"
    return falx.crossval(phantoms, folds=3, repeats=2, changes=quick, out=out)


@pytest.fixture(scope="module")
def three(phantoms, quick, tmp_path_factory):
    """A training on three classes; the positive slices count as two."""
    data = tmp_path_factory.mktemp("three") / "data"
    shutil.copytree(phantoms, data)
    for number, file in enumerate(sorted((data / "yes").iterdir())):
        kind = data / ("glioma" if number % 2 else "meningioma") / file.name
        kind.parent.mkdir(exist_ok=True)
        file.rename(kind)
    (data / "yes").rmdir()
    out = tmp_path_factory.mktemp("runs") / "three"
    return falx.train(data, changes=quick, out=out).folder


@pytest.fixture(scope="module")
def text(run, tmp_path_factory):
    """The run's card as Markdown."""
    return falx.card(run, out=tmp_path_factory.mktemp("card")).markdown.read_text("utf-8")


@pytest.fixture
def copy(run, tmp_path):
    return Path(shutil.copytree(run, tmp_path / "copy"))


def row(text, start):
    """The cells of the first table row that starts so."""
    (found, *_) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in found.strip("|").split(" | ")][1:]


def written(estimate):
    numbers = [f"{estimate[name]:.3f}" for name in ("value", "low", "high")]
    return "{} ({} to {})".format(*numbers).replace("-", "−")


def subgroups(run, factor):
    (found,) = [each for each in open_run(run).evaluation.subgroups if each.name == factor]
    return found.subgroups


def test_it_is_written_into_the_run_folder_whole(copy):
    before = {path.name for path in copy.iterdir()}
    done = falx.card(copy)
    assert (done.markdown, done.html) == (copy / "card.md", copy / "card.html")
    assert {path.name for path in copy.iterdir()} - before == {"card.md", "card.html"}
    for page in (done.markdown, done.html):
        assert page.read_text("utf-8").count(NOTICE) == 1


def test_the_metrics_are_those_of_the_run(run, text):
    metrics = json.loads((run / "metrics.json").read_text())
    for name, title in (("accuracy", "Accuracy"), ("log_loss", "Log loss"), ("f1", "F1")):
        assert row(text, title)[0] == written(metrics[name])
    assert row(text, "yes")[1] == written(metrics["by_class"]["yes"]["recall"])


def test_network_weights_data_and_command_are_those_of_the_run(run, text):
    network = keras.saving.load_model(run / "detector" / "network.keras")
    assert f"{network.count_params():,} parameters" in text
    settings = json.loads((run / "detector" / "detector.json").read_text())
    assert row(text, "Network, SHA-256") == [f"`{settings['network_sha256']}`"]
    record = json.loads((run / "run.json").read_text())
    assert row(text, "Data, SHA-256") == [f"`{record['data']['sha256']}`"]
    assert row(text, "Initial weights, SHA-256") == ["`none`"]
    assert record["command"] in text


def test_subgroups_are_those_of_the_predictions(run):
    tested = pd.read_csv(run / "predictions.csv").query("part == 'test'")
    table = Catalog.load(run / "catalog.parquet").usable().table
    joined = tested.merge(table[["path", "index", "mean"]], on=["path", "index"])
    thirds = np.array_split(joined.sort_values("mean"), 3)
    found = subgroups(run, "Brightness")
    assert [each.n for each in found] == [len(third) for third in thirds]
    assert {each.estimates["accuracy"] for each in found} == {None}, "three groups are too few"
    (whole,) = subgroups(run, "Image size")
    assert (whole.name, whole.n, whole.groups) == ("96 pixels", 10, 10)
    assert whole.estimates["accuracy"].value == (tested["label"] == tested["predicted"]).mean()


def test_subgroups_of_enough_groups_have_metrics(cross_validation):
    table = cross_validation.catalog.usable().table
    thirds = np.array_split(np.argsort(table["standard_deviation"].to_numpy()), 3)
    predictions = cross_validation.evaluation.predictions
    found = subgroups(cross_validation.folder, "Contrast")
    specificities = 0
    for subgroup, rows in zip(found, thirds, strict=True):
        truth, predicted = predictions.labels[rows], predictions.predicted_codes[:, rows]
        accuracy = np.mean([accuracy_score(truth, each) for each in predicted])
        assert subgroup.n == 20
        assert subgroup.estimates["accuracy"].value == pytest.approx(accuracy)
        specificity = subgroup.estimates["specificity"]
        negative_groups = table["group"].to_numpy()[rows[truth == 0]]
        assert (specificity is None) == (len(set(negative_groups)) < 10)
        if specificity:
            expected = np.mean([recall_score(truth, each, pos_label=0) for each in predicted])
            assert specificity.value == pytest.approx(expected)
            specificities += 1
    assert specificities, "no subgroup had ten groups of negative slices"


def test_the_data_may_be_gone(copy, tmp_path):
    file = copy / "catalog.parquet"
    replace(Catalog.load(file), root=Path("/gone/phantoms")).save(file)
    text = falx.card(copy, out=tmp_path / "out").markdown.read_text("utf-8")
    assert "All slices of `phantoms`" in text


def test_a_detector_folder_stands_for_its_run(copy):
    assert falx.card(copy / "detector").markdown == copy / "card.md"


def test_a_cross_validation_has_no_detector_and_counts_repeats(cross_validation):
    folder = cross_validation.folder
    text = falx.card(folder).markdown.read_text("utf-8")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert row(text, "Accuracy")[0] == written(metrics["accuracy"])
    assert "Leak-free 3-fold cross-validation, 2 repeats." in text
    assert "None is kept" in text
    assert "Network, SHA-256" not in text
    errors = pd.read_csv(folder / "errors.csv")
    assert len(errors), "an untrained network misclassifies some"
    assert row(text, f"`{errors['path'][0]}`")[-1] == f"{errors['times'][0]} of 2"


def test_several_classes_have_no_threshold(three, tmp_path):
    text = falx.card(three, out=tmp_path).markdown.read_text("utf-8")
    assert "The most probable class is predicted" in text
    assert "positive predictive value would be" not in text
    metrics = json.loads((three / "metrics.json").read_text())
    for name in ("no", "glioma", "meningioma"):
        assert row(text, name)[3] == str(metrics["by_class"][name]["support"])


def test_an_evaluation_has_no_card(run, phantoms, tmp_path):
    done = falx.evaluate(run, phantoms, out=tmp_path / "evaluated")
    with pytest.raises(BadInput, match="a card is written of the run that was evaluated"):
        falx.card(done.folder)


def test_other_folders_are_no_run(phantoms, tmp_path):
    for folder in (phantoms, tmp_path / "nowhere"):
        with pytest.raises(BrokenRun, match=r"is no run \(it lacks run.json\)"):
            falx.card(folder)
    with pytest.raises(BrokenRun, match="unfinished run"):
        falx.card(tmp_path / f"run{PARTIAL}")


def test_predictions_without_distances_are_damaged(cross_validation, tmp_path):
    damaged = Path(shutil.copytree(cross_validation.folder, tmp_path / "damaged"))
    predictions = pd.read_csv(damaged / "predictions.csv")
    predictions.drop(columns=["distance"]).to_csv(damaged / "predictions.csv", index=False)
    with pytest.raises(BrokenRun, match=r"is damaged .*distance"):
        falx.card(damaged)


def test_a_run_without_rules_is_damaged(cross_validation, tmp_path):
    damaged = Path(shutil.copytree(cross_validation.folder, tmp_path / "damaged"))
    record = json.loads((damaged / "run.json").read_text())
    del record["rules"]
    (damaged / "run.json").write_text(json.dumps(record))
    with pytest.raises(BrokenRun, match=r"is damaged .*rules"):
        falx.card(damaged)


def test_a_detector_of_another_version_is_named_by_its_schema(copy):
    settings = json.loads((copy / "detector" / "detector.json").read_text())
    (copy / "detector" / "detector.json").write_text(json.dumps(settings | {"schema": 2}))
    with pytest.raises(
        BrokenRun, match=f"has schema 2, and this version of falx reads {SCHEMA}; train"
    ):
        falx.card(copy)


def test_predictions_of_other_slices_are_damaged(copy):
    predictions = pd.read_csv(copy / "predictions.csv")
    predictions.iloc[:-1].to_csv(copy / "predictions.csv", index=False)
    with pytest.raises(BrokenRun, match=r"is damaged .*name different slices"):
        falx.card(copy)


def test_a_file_that_is_no_json_is_damaged(copy):
    (copy / "environment.json").write_text("{")
    with pytest.raises(BrokenRun, match="is damaged"):
        falx.card(copy)


def test_an_altered_network_is_named(copy):
    with (copy / "detector" / "network.bin").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(BrokenRun, match="altered or cut off"):
        falx.card(copy)
    assert not (copy / "card.md").exists()


def test_a_file_in_the_way_is_one_sentence(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="is a file"):
        falx.card(run, out=tmp_path / "file")


def test_a_distance_that_is_no_number_is_read_back_as_out_of_distribution(copy):
    table = pd.read_csv(copy / "predictions.csv")
    table.loc[table["part"] == "test", "distance"] = np.nan
    table.to_csv(copy / "predictions.csv", index=False)
    predictions = open_run(copy).evaluation.predictions
    assert np.isnan(predictions.distances).all()
    assert (predictions.frame()["status"] == "out_of_distribution").all()
