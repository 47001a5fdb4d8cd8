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
from falx.evaluation.calibrate import fit_temperature, least_inclusion, tempered
from falx.image.render import render
from falx.model.network import network_input
from falx.notice import NOTICE
from falx.recipe import load_recipe

FILES = {
    "recipe.yaml", "catalog.parquet", "split.csv", "history.csv", "predictions.csv", "errors.csv",
    "metrics.json", "environment.json", "detector", "figures", "report.html", "log.jsonl",
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
    }  # fmt: skip
    assert {path.stem for path in (run / "figures").iterdir()} - {"worst_errors"} == FIGURES


def test_the_numbers_are_those_of_scikit_learn_on_the_predictions(metrics, tested):
    truth = (tested["label"] == "yes").to_numpy(int)
    chances = tested["p_yes"].to_numpy()
    assert metrics["split"] == "test"
    assert metrics["n"] == len(tested)
    assert metrics["groups"] == tested["group"].nunique()
    assert metrics["accuracy"]["value"] == accuracy_score(truth, chances >= 0.5)
    assert metrics["roc_auc"]["value"] == pytest.approx(roc_auc_score(truth, chances), abs=1e-9)
    assert metrics["log_loss"]["value"] == pytest.approx(log_loss(truth, chances), abs=1e-5)


def test_what_the_table_says_is_what_the_detector_answers(run, tested, phantoms):
    """Distances are computed in the network, and were measured on the trunk's features."""
    detector = load(run)
    for _, row in tested.iterrows():
        (finding,) = detector.predict(phantoms / row["path"]).slices
        assert finding.status == row["status"]
        assert finding.distance == pytest.approx(row["distance"], rel=1e-4)
        if finding.status != "foreign":
            assert (finding.label, finding.probability) == (
                row["predicted"], pytest.approx(row["p_yes"], abs=1e-5),
            )  # fmt: skip


def test_rules_are_chosen_on_validation_slices(run):
    table = pd.read_csv(run / "predictions.csv")
    chosen, rules = table[table["part"] == "validation"], load(run).settings.rules
    labels = (chosen["label"] == "yes").to_numpy(int)
    chances = chosen[["p_no", "p_yes"]].to_numpy()
    assert rules.inclusion == pytest.approx(least_inclusion(chances, labels, 0.1), abs=1e-5)
    raw = tempered(chances, 1 / rules.temperature)
    assert rules.temperature == pytest.approx(fit_temperature(raw, labels), rel=1e-2)


def test_every_mistake_is_named(run, tested):
    wrong = tested[tested["label"] != tested["predicted"]]
    assert set(pd.read_csv(run / "errors.csv")["path"]) == set(wrong["path"])


def test_no_group_is_on_two_sides(run):
    split = pd.read_csv(run / "split.csv")
    assert len(split) == 60
    assert (split.groupby("group")["part"].nunique() == 1).all()


def test_the_detector_gives_the_probabilities_that_were_scored(run, phantoms, tested):
    found = falx.load(run).predict([phantoms / path for path in tested["path"]])
    chances = {f"{one.path.parent.name}/{one.path.name}": one.probability for one in found.slices}
    expected = tested.set_index("path")["p_yes"]
    np.testing.assert_allclose([chances[path] for path in expected.index], expected, atol=2e-6)


def test_the_environment_tells_what_made_the_run_and_nothing_about_whose_it_is(run):
    text = (run / "environment.json").read_text()
    about = json.loads(text)
    assert about["seed"] == 0
    assert about["versions"]["falx"] == falx.__version__
    assert re.fullmatch("[0-9a-f]{64}", about["data"]["sha256"])
    assert about["weights"] == {"name": "random", "sha256": ""}
    assert about["command"].startswith("falx train ")


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


def test_an_existing_folder_is_not_touched(run, phantoms, short):
    before = (run / "metrics.json").read_bytes()
    with pytest.raises(falx.FalxError, match="exists already"):
        falx.train(phantoms, changes=short, weights="random", out=run)
    assert (run / "metrics.json").read_bytes() == before


def test_what_copies_are_worth_is_shown_when_asked_for(phantoms, short, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(phantoms, data)
    for file in sorted((data / "yes").iterdir())[:15]:
        shutil.copy(file, file.with_name(f"copy-of-{file.name}"))
    trained = falx.train(
        data, changes=short, weights="random", out=tmp_path / "run", show_leak=True
    )
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert metrics["random_split"]["accuracy"]["value"] == trained.blind.estimates["accuracy"].value
    blind = metrics["random_split"]
    assert blind["twins"] > 0
    assert blind["without_twins"]["n"] == blind["n"] - blind["twins"]
    page = (trained.folder / "report.html").read_text("utf-8")
    assert "Random split" in page
    assert f"There, on the {blind['without_twins']['n']} without a twin, accuracy is" in page
    assert "have a twin in training" in page
    assert (trained.folder / "figures" / "splits.png").is_file()
    assert json.loads((trained.folder / "environment.json").read_text())["command"].endswith(
        "--show-leak"
    )


def test_four_classes_work_with_the_same_call(phantoms, short, tmp_path):
    names = ("notumor", "glioma", "meningioma", "pituitary")
    for number, file in enumerate(sorted(phantoms.glob("*/*.png"))):
        target = tmp_path / "data" / names[number % 4]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    trained = falx.train(
        tmp_path / "data",
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
def mirrored(phantoms, tmp_path_factory):
    changes = {"mirrored": "true", "rendering.size": "96", "phases.0.epochs": "2"}
    out = tmp_path_factory.mktemp("mirrored") / "run"
    return falx.train(phantoms, recipe="demo", changes=changes, weights="phantom", out=out).folder


def test_a_mirrored_recipe_answers_alike_for_a_slice_and_its_mirror_image(mirrored, phantoms):
    detector, table = load(mirrored), pd.read_csv(mirrored / "predictions.csv")
    views = np.stack([
        render(read_slices(phantoms / path)[0].pixels, detector.settings.rendering)
        for path in table["path"]
    ])  # fmt: skip
    found = detector.probabilities(views)
    np.testing.assert_allclose(found, detector.probabilities(views[:, :, ::-1]), atol=1e-5)
    np.testing.assert_allclose(found[:, 1], table["p_yes"], atol=1e-5)
    network = keras.saving.load_model(mirrored / "detector" / "network.keras")
    alone = np.asarray(network.predict_on_batch(network_input(views)))
    assert np.abs(class_probabilities(alone) - found).max() > 0.01


def test_rules_of_a_mirrored_recipe_are_of_the_answers_that_its_detector_gives(mirrored):
    table, rules = pd.read_csv(mirrored / "predictions.csv"), load(mirrored).settings.rules
    chosen = table[table["part"] == "validation"]
    labels = (chosen["label"] == "yes").to_numpy(int)
    expected = least_inclusion(chosen[["p_no", "p_yes"]].to_numpy(), labels, 0.1)
    assert rules.inclusion == pytest.approx(expected, abs=1e-3)


def test_a_detector_whose_limit_cannot_be_told_refuses_nothing_and_that_is_said(
    phantoms, short, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("falx.verbs.train.familiar_limit", lambda *_: None)
    with caplog.at_level(logging.WARNING, "falx"):
        done = falx.train(phantoms, changes=short, weights="random", out=tmp_path / "run")
    assert "In training and validation it can't be told how far unseen slices" in caplog.text
    assert load(done.folder).settings.rules.limit is None
    assert done.trust.foreign.value == 0


def test_a_recipe_that_trains_what_foreign_slices_are_told_by_is_warned_of(
    phantoms, short, tmp_path, caplog
):
    changes = short | {"phases.1.epochs": "1", "phases.1.train_from": "40"}
    with caplog.at_level(logging.WARNING, "falx"):
        falx.train(phantoms, changes=changes, weights="random", out=tmp_path / "run")
    assert "more than 1% of new slices like these may be refused" in caplog.text
