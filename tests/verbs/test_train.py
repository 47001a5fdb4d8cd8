"""A training leaves a whole run folder, whose numbers hold against an independent computation."""

import json
import logging
import re
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

import falx
from falx.data.read import read_slices
from falx.detect.detector import load
from falx.detect.finding import class_probabilities
from falx.evaluation.calibration import apply_temperature, fit_conformal_threshold, fit_temperature
from falx.image.render import render
from falx.model.scaling import network_input
from falx.notice import NOTICE
from falx.recipe import load_recipe

FILES = {
    "recipe.yaml", "catalog.parquet", "split.csv", "history.csv", "predictions.csv", "errors.csv",
    "metrics.json", "run.json", "environment.json", "detector", "figures", "report.html", "log.jsonl",
}  # fmt: skip
FIGURES = {
    "confusion_matrix", "roc", "precision_recall", "training", "probabilities", "calibration",
    "samples", "views",
}  # fmt: skip


@pytest.fixture(scope="module")
def metrics(run):
    return json.loads((run / "metrics.json").read_text())


@pytest.fixture(scope="module")
def tested(run):
    predictions = pd.read_csv(run / "predictions.csv")
    return predictions[predictions["part"] == "test"]


def test_the_run_folder_holds_what_the_design_says_and_nothing_else(run):
    assert {path.name for path in run.iterdir()} == FILES
    detector = {path.name for path in (run / "detector").iterdir()}
    assert detector == {
        "detector.json", "network.xml", "network.bin", "network.keras", "reference.npz",
        "site.npz",
    }  # fmt: skip
    assert {path.stem for path in (run / "figures").iterdir()} - {"worst_errors"} == FIGURES


def test_the_numbers_are_those_of_scikit_learn_on_the_predictions(metrics, tested):
    truth = (tested["label"] == "yes").to_numpy(int)
    probabilities = tested["p_yes"].to_numpy()
    assert metrics["n"] == len(tested)
    assert metrics["groups"] == tested["group"].nunique()
    assert metrics["accuracy"]["value"] == accuracy_score(truth, probabilities >= 0.5)
    assert metrics["roc_auc"]["value"] == pytest.approx(
        roc_auc_score(truth, probabilities), abs=1e-9
    )
    assert metrics["log_loss"]["value"] == pytest.approx(log_loss(truth, probabilities), abs=1e-5)


def test_the_predictions_are_those_of_the_detector(run, tested, phantoms):
    """Distances are computed in the network, and were measured on the trunk's features."""
    detector = load(run)
    for _, row in tested.iterrows():
        (finding,) = detector.predict(phantoms / row["path"]).slices
        assert finding.status == row["status"]
        assert finding.distance == pytest.approx(row["distance"], rel=1e-4)
        if finding.status != "out_of_distribution":
            assert (finding.label, finding.probability) == (
                row["predicted"], pytest.approx(row["p_yes"], abs=1e-5),
            )  # fmt: skip


def test_rules_are_chosen_on_validation_slices(run):
    table = pd.read_csv(run / "predictions.csv")
    chosen, rules = table[table["part"] == "validation"], load(run).settings.rules
    labels = (chosen["label"] == "yes").to_numpy(int)
    probabilities = chosen[["p_no", "p_yes"]].to_numpy()
    assert rules.conformal_threshold == pytest.approx(
        fit_conformal_threshold(probabilities, labels, 0.1), abs=1e-5
    )
    uncalibrated = apply_temperature(probabilities, 1 / rules.temperature)
    assert rules.temperature == pytest.approx(fit_temperature(uncalibrated, labels), rel=1e-2)


def test_every_misclassified_slice_is_listed(run, tested):
    wrong = tested[tested["label"] != tested["predicted"]]
    assert set(pd.read_csv(run / "errors.csv")["path"]) == set(wrong["path"])


def test_no_group_is_on_two_sides(run):
    split = pd.read_csv(run / "split.csv")
    assert len(split) == 60
    assert (split.groupby("group")["part"].nunique() == 1).all()


def test_the_detector_gives_the_probabilities_that_were_scored(run, phantoms, tested):
    found = falx.load(run).predict([phantoms / path for path in tested["path"]])
    probabilities = {
        f"{one.path.parent.name}/{one.path.name}": one.probability for one in found.slices
    }
    expected = tested.set_index("path")["p_yes"]
    np.testing.assert_allclose(
        [probabilities[path] for path in expected.index], expected, atol=2e-6
    )


def test_the_record_says_what_made_the_run(run):
    record = json.loads((run / "run.json").read_text())
    assert (record["verb"], record["options"]["seed"]) == ("train", 0)
    assert (record["title"], record["split"]) == ("lite on phantoms", "leak-free 70/15/15")
    assert re.fullmatch("[0-9a-f]{64}", record["data"]["sha256"])
    assert record["weights"] == {"name": "random", "sha256": ""}
    assert record["command"].startswith("falx train ")
    assert "--weights random" in record["command"]
    environment = json.loads((run / "environment.json").read_text())
    assert environment["versions"]["falx"] == falx.__version__


def test_a_run_read_back_is_the_run_that_was_written(run, metrics, tested):
    read = falx.open_run(run)
    written = {name: value for name, value in metrics.items() if name != "random_split"}
    assert read.kind == "training"
    assert read.evaluation.as_dict() == written
    assert read.evaluation.predictions.table["path"].tolist() == tested["path"].tolist()
    assert read.record.command == json.loads((run / "run.json").read_text())["command"]
    assert len(read.validation) + len(tested) == len(pd.read_csv(run / "predictions.csv"))


def test_the_recipe_in_the_run_trains_the_same_again(run, short):
    assert load_recipe(run / "recipe.yaml") == load_recipe("lite").changed(
        short | {"phases.0.epochs": "2"}
    )


def test_the_history_has_a_row_an_epoch(run):
    history = pd.read_csv(run / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert {"loss", "val_loss", "accuracy", "auc", "learning_rate", "best"} <= set(history.columns)


def test_the_log_is_a_json_object_a_line(run):
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    messages = " ".join(entry["message"] for entry in entries)
    assert "epoch 2" in messages
    assert "60 slices" in messages


def test_the_report_needs_nothing_beside_it_and_says_what_falx_is_not(run, metrics):
    page = (run / "report.html").read_text("utf-8")
    assert page.count(NOTICE) == 1
    assert f"{metrics['accuracy']['value']:.3f}" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_an_existing_folder_is_not_touched(run, phantoms):
    before = (run / "metrics.json").read_bytes()
    with pytest.raises(falx.FalxError, match="exists already"):
        falx.train(phantoms, out=run)
    assert (run / "metrics.json").read_bytes() == before


def test_what_leakage_is_worth_is_shown_when_asked_for(phantoms, quick, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(phantoms, data)
    for file in sorted((data / "yes").iterdir())[:15]:
        shutil.copy(file, file.with_name(f"copy-of-{file.name}"))
    trained = falx.train(data, changes=quick, out=tmp_path / "run", compare_random_split=True)
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert (
        metrics["random_split"]["accuracy"]["value"]
        == trained.random_split.scores.estimates["accuracy"].value
    )
    random = metrics["random_split"]
    assert random["leaked"] > 0
    assert random["without_leakage"]["n"] == random["n"] - random["leaked"]
    page = (trained.folder / "report.html").read_text("utf-8")
    assert "Random split" in page
    assert f"On the other {random['without_leakage']['n']}, accuracy is" in page
    assert "share a group with training slices" in page
    assert (trained.folder / "figures" / "splits.png").is_file()
    command = json.loads((trained.folder / "run.json").read_text())["command"]
    assert command.endswith("--compare-random-split")


def test_four_classes_work_with_the_same_call(phantoms, short, tmp_path):
    names = ("notumor", "glioma", "meningioma", "pituitary")
    for number, file in enumerate(sorted(phantoms.glob("*/*.png"))):
        target = tmp_path / "data" / names[number % 4]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    trained = falx.train(
        tmp_path / "data",
        recipe="lite",
        changes=short,
        weights="random",
        out=tmp_path / "run",
        tensorboard=True,
    )
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert np.shape(metrics["confusion"]) == (4, 4)
    assert set(metrics["by_class"]) == set(names)
    assert list((trained.folder / "tensorboard").rglob("events.*"))
    found = falx.load(trained.folder).predict(tmp_path / "data")
    assert found.classes[0] == "notumor"
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in found.slices)
    done = falx.evaluate(trained.folder, tmp_path / "data", out=tmp_path / "again")
    assert done.scores.n == 60


@pytest.fixture(scope="module")
def flip_tta(phantoms, tmp_path_factory):
    changes = {"flip_tta": "true", "rendering.size": "96", "phases.0.epochs": "2"}
    out = tmp_path_factory.mktemp("flip_tta") / "run"
    return falx.train(phantoms, recipe="demo", changes=changes, weights="phantom", out=out).folder


def test_test_time_augmentation_predicts_a_slice_and_its_mirror_image_alike(flip_tta, phantoms):
    detector, table = load(flip_tta), pd.read_csv(flip_tta / "predictions.csv")
    views = np.stack([
        render(read_slices(phantoms / path)[0].pixels, detector.settings.rendering)
        for path in table["path"]
    ])  # fmt: skip
    found = detector.probabilities(views)
    np.testing.assert_allclose(found, detector.probabilities(views[:, :, ::-1]), atol=1e-5)
    np.testing.assert_allclose(found[:, 1], table["p_yes"], atol=1e-5)
    network = keras.saving.load_model(flip_tta / "detector" / "network.keras")
    alone = np.asarray(network.predict_on_batch(network_input(views)))
    assert np.abs(class_probabilities(alone) - found).max() > 0.01


def test_with_test_time_augmentation_rules_are_those_of_the_predictions(flip_tta):
    table, rules = pd.read_csv(flip_tta / "predictions.csv"), load(flip_tta).settings.rules
    chosen = table[table["part"] == "validation"]
    labels = (chosen["label"] == "yes").to_numpy(int)
    expected = fit_conformal_threshold(chosen[["p_no", "p_yes"]].to_numpy(), labels, 0.1)
    assert rules.conformal_threshold == pytest.approx(expected, abs=1e-3)


def test_a_detector_without_an_ood_threshold_rejects_nothing_and_warns(
    phantoms, quick, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("falx.verbs.train.fit_ood_threshold", lambda *_: None)
    with caplog.at_level(logging.WARNING, "falx"):
        done = falx.train(phantoms, changes=quick, out=tmp_path / "run")
    assert "In training and validation the OOD threshold can't be estimated" in caplog.text
    assert load(done.folder).settings.rules.ood_threshold is None
    assert done.reliability.out_of_distribution.value == 0


def test_a_recipe_that_trains_the_layer_of_the_ood_features_is_warned_of(
    phantoms, short, tmp_path, caplog
):
    changes = short | {"phases.1.epochs": "1", "phases.1.unfreeze_from": "40"}
    with caplog.at_level(logging.WARNING, "falx"):
        falx.train(phantoms, recipe="lite", changes=changes, weights="random", out=tmp_path / "run")
    assert (
        "more than 1% of new slices like these may be rejected as out-of-distribution"
        in caplog.text
    )


def test_several_datasets_are_trained_on_together(phantoms, mixed, quick, tmp_path):
    done = falx.train([phantoms, mixed], changes=quick, out=tmp_path / "run")
    assert done.record.arguments == [str(phantoms), str(mixed)]
    table = pd.read_csv(done.folder / "predictions.csv")
    assert set(table["source"]) == {"phantoms", "mixed"}
    tested = table[table["part"] == "test"]
    assert [each.source for each in done.evaluation.by_source] == list(
        dict.fromkeys(tested["source"])
    )
    parts = pd.read_csv(done.folder / "split.csv").groupby("group")["part"].nunique()
    assert (parts == 1).all()
    seen = (pd.read_csv(done.folder / "split.csv")["part"] != "test").sum()
    again = falx.evaluate(done.folder, phantoms, faithfulness_slices=0, out=tmp_path / "again")
    of_phantoms = done.catalog.table["source"].eq("phantoms").to_numpy()
    groups = done.catalog.groups
    known = groups[pd.read_csv(done.folder / "split.csv")["part"].ne("test").to_numpy()]
    assert 0 < again.evaluation.n_leaked < seen
    assert again.evaluation.n_leaked == np.isin(groups[of_phantoms], known).sum()
