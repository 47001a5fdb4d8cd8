"""A model card says what the run says, needs nothing but the run, and marks what it can't know."""

import json
import re
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
from falx.errors import BadInput, BrokenRun
from falx.evaluation.subgroups import Factor, Subgroup
from falx.notice import NOTICE
from falx.recipe import load_recipe
from falx.reporting.card.model_card import model_card
from falx.reporting.pages.rendering import fill
from falx.reporting.report import Mistake
from falx.runs.folder import PARTIAL
from falx.runs.reading import load_run
from falx.statistics import Estimate
from falx.verbs.card import card_of


@pytest.fixture(scope="module")
def folded(phantoms, short, tmp_path_factory):
    """A cross-validation of two repeats."""
    out = tmp_path_factory.mktemp("runs") / "folded"
    return falx.crossval(phantoms, folds=3, repeats=2, changes=short, weights="random", out=out)


@pytest.fixture(scope="module")
def three(phantoms, short, tmp_path_factory):
    """A training on three classes; the positive slices count as two."""
    data = tmp_path_factory.mktemp("three") / "data"
    shutil.copytree(phantoms, data)
    for number, file in enumerate(sorted((data / "yes").iterdir())):
        kind = data / ("glioma" if number % 2 else "meningioma") / file.name
        kind.parent.mkdir(exist_ok=True)
        file.rename(kind)
    (data / "yes").rmdir()
    out = tmp_path_factory.mktemp("runs") / "three"
    return falx.train(data, changes=short, weights="random", out=out).folder


@pytest.fixture(scope="module")
def card(run):
    """The card of the run, before it is a document."""
    return card_of(load_run(run))


@pytest.fixture(scope="module")
def text(card):
    """The run's card as Markdown."""
    return fill("document.md.j2", document=model_card(card))


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


def test_it_is_written_into_the_run_folder_whole(copy):
    before = {path.name for path in copy.iterdir()}
    done = falx.card(copy)
    assert (done.markdown, done.html) == (copy / "card.md", copy / "card.html")
    assert {path.name for path in copy.iterdir()} - before == {"card.md", "card.html"}
    for page in (done.markdown, done.html):
        assert page.read_text("utf-8").count(NOTICE) == 1


def test_the_numbers_are_those_of_the_run(run, text):
    metrics = json.loads((run / "metrics.json").read_text())
    for name, title in (("accuracy", "Accuracy"), ("log_loss", "Log loss"), ("f1", "F1")):
        assert row(text, title)[0] == written(metrics[name])
    assert row(text, "yes")[1] == written(metrics["by_class"]["yes"]["recall"])


def test_a_logistic_head_and_mirror_images_are_told_in_their_own_words(card):
    best = load_recipe("best")
    said = fill("document.md.j2", document=model_card(replace(card, recipe=best)))
    assert row(said, "Trained")[0] == (
        "logistic regression on the features of 8 views of each slice, with a penalty of 100 on "
        "squared weights; class weights balanced."
    )
    assert "It is the mean over a slice and its mirror image." in row(said, "Output")[0]
    tuned = best.phases[0].model_copy(update={"solver": "optimizer", "epochs": 1})
    both = best.model_copy(update={"phases": (*best.phases, tuned), "mirrored": False})
    said = fill("document.md.j2", document=model_card(replace(card, recipe=both)))
    assert row(said, "Trained")[0].endswith(
        "on squared weights; 1 epoch of the head at a rate of 0.001; class weights balanced; adam, "
        "batches of 32; the last weights are kept."
    )
    assert "mirror" not in row(said, "Output")[0]


def test_subgroups_are_those_of_the_predictions(run, card):
    found = {factor.name: factor for factor in card.factors}
    tested = pd.read_csv(run / "predictions.csv").query("part == 'test'")
    table = Catalog.load(run / "catalog.parquet").usable().table
    joined = tested.merge(table[["path", "index", "mean"]], on=["path", "index"])
    thirds = np.array_split(joined.sort_values("mean"), 3)
    parts = found["Brightness"].subgroups
    assert [part.n for part in parts] == [len(third) for third in thirds]
    assert {part.estimates["accuracy"] for part in parts} == {None}, "three groups are too few"
    (whole,) = found["Image size"].subgroups
    assert (whole.name, whole.n, whole.groups) == ("96 pixels", 10, 10)
    assert whole.estimates["accuracy"].value == (tested["label"] == tested["predicted"]).mean()


def test_enough_groups_give_numbers(folded):
    parts = card_of(load_run(folded.folder)).factors
    (contrast,) = [factor for factor in parts if factor.name == "Contrast"]
    table = Catalog.load(folded.folder / "catalog.parquet").usable().table
    rows = np.argsort(table["standard_deviation"].to_numpy())[:20]
    truth = (table["label"] == "yes").to_numpy(int)[rows]
    given = [(p[rows, 1] >= 0.5).astype(int) for p in folded.probabilities]
    low = contrast.subgroups[0]
    assert low.n == 20
    assert low.estimates["accuracy"].value == pytest.approx(
        np.mean([accuracy_score(truth, each) for each in given])
    )
    found = low.estimates["specificity"]
    if found is not None:
        expected = np.mean([recall_score(truth, each, pos_label=0) for each in given])
        assert found.value == pytest.approx(expected)


def test_it_names_network_parameters_and_hashes(run, text):
    network = keras.saving.load_model(run / "detector" / "network.keras")
    assert f"{network.count_params():,} parameters" in text
    settings = json.loads((run / "detector" / "detector.json").read_text())
    assert row(text, "Network, SHA-256") == [f"`{settings['network_sha256']}`"]
    about = json.loads((run / "environment.json").read_text())
    assert row(text, "Data, SHA-256") == [f"`{about['data']['sha256']}`"]
    assert row(text, "Weights, SHA-256") == ["none"]
    assert about["command"] in text


def test_the_data_may_be_gone(copy, tmp_path):
    file = copy / "catalog.parquet"
    replace(Catalog.load(file), root=Path("/gone/phantoms")).save(file)
    text = falx.card(copy, out=tmp_path / "out").markdown.read_text("utf-8")
    assert "All slices of `phantoms`" in text


def test_a_detector_folder_stands_for_its_run(copy):
    assert falx.card(copy / "detector").markdown == copy / "card.md"


def test_every_link_leads_somewhere(card):
    document = model_card(card)
    titles = {section.title for section in document.sections}
    assert len({section.anchor for section in document.sections}) == len(document.sections)
    spans = re.findall(r"Span\(text='([^']*)', kind='link'\)", repr(document))
    assert spans
    assert set(spans) <= titles


def test_what_only_a_person_knows_is_marked(text):
    for gap in ("ethics approval", "which scanners", "who labeled them", "name and address"):
        assert re.search(rf"\*\*To be filled in:\*\* .*{gap}", text)


def test_energy_is_no_measurement_but_a_stated_bound(card):
    environment = {**card.report.environment, "cores": 4}
    report = replace(card.report, seconds=1800.0, environment=environment)
    said = repr(model_card(replace(card, report=report)))
    assert "Training took 30 min 0 s on 4 processor cores, 2 core hours at the most." in said
    assert "Energy was not measured. If every core drew 20 W" in said
    assert "at most 40 Wh" in said


def test_a_subgroup_that_fares_otherwise_is_named(card):
    high, low = Estimate(0.95, 0.9, 1.0), Estimate(0.5, 0.4, 0.6)
    overall = {**card.report.scores.estimates, "accuracy": high}
    scores = replace(card.report.scores, estimates=overall)
    parts = tuple(
        Subgroup(name, 60, 40, {"accuracy": found, "sensitivity": None, "specificity": None,
                                "roc_auc": None})
        for name, found in (("siteA", high), ("siteB", low))
    )  # fmt: skip
    changed = replace(
        card, report=replace(card.report, scores=scores), factors=(Factor("Folder", parts),)
    )
    said = fill("document.md.j2", document=model_card(changed))
    expected = "- Folder siteB: accuracy 0.500 (0.400 to 0.600) is below the 0.950 of all slices."
    assert expected in said
    assert "Folder siteA: accuracy" not in said
    assert "- 2 numbers were compared; by chance alone about 1 in 20 would stand out." in said


def test_twins_in_training_are_the_first_thing_said(card):
    report = replace(card.report, twins=3, split="random 70/15/15, blind to copies")
    document = model_card(replace(card, report=report))
    said = fill("document.md.j2", document=document)
    warning = "Not independent: 3 of 10 test slices have a twin in training."
    assert said.index(f"> **{warning}**") < said.index("## Model details")
    assert f"Random 70/15/15, blind to copies. {warning}" in said
    assert '<div class="notice act">' in fill("document.html.j2", document=document)


def test_numbers_by_study_are_given_where_there_are_studies(card):
    study = {"share": 0.1, "refused": 1, "n": 12, "accuracy": {"value": 0.75, "low": 0.5, "high": 1.0},
             "roc_auc": {"value": None, "low": None, "high": None}}  # fmt: skip
    document = model_card(replace(card, report=replace(card.report, study=study)))
    said = fill("document.md.j2", document=document)
    by_study = said[said.index("By study: 12 studies of two slices or more; 1 more, of foreign") :]
    assert row(by_study, "Accuracy") == ["0.750 (0.500 to 1.000)"]
    assert row(by_study, "ROC AUC") == ["–"]


def test_a_hostile_file_name_stays_text(card):
    bad = Mistake("yes/<script>|`x`.png", "yes", "no", 0.1)
    document = model_card(replace(card, report=replace(card.report, errors=(bad,))))
    said = fill("document.md.j2", document=document)
    assert r"| `` yes/<script>\|`x`.png `` | yes | no | 0.100 |" in said
    html = fill("document.html.j2", document=document)
    assert "<code>yes/&lt;script&gt;|`x`.png</code>" in html
    assert "<script>" not in html


def test_a_cross_validation_has_no_detector_and_counts_repeats(folded):
    text = falx.card(folded.folder).markdown.read_text("utf-8")
    metrics = json.loads((folded.folder / "metrics.json").read_text())
    assert row(text, "Accuracy")[0] == written(metrics["accuracy"])
    assert "Leak-free 3-fold cross-validation, 2 times." in text
    assert "None is kept" in text
    assert "Network, SHA-256" not in text
    assert "Wrong in" in text or "No test slice was called wrong" in text


def test_several_classes_have_no_threshold(three, tmp_path):
    text = falx.card(three, out=tmp_path).markdown.read_text("utf-8")
    assert "The most probable class is the answer" in text
    assert "positive predictive value" not in text
    metrics = json.loads((three / "metrics.json").read_text())
    for name in ("no", "glioma", "meningioma"):
        assert row(text, name)[3] == str(metrics["by_class"][name]["support"])


def test_other_folders_are_one_sentence(run, phantoms, tmp_path):
    done = falx.evaluate(run, phantoms, out=tmp_path / "evaluated")
    for folder in (done.folder, phantoms, tmp_path / "nowhere"):
        with pytest.raises(BrokenRun, match="no training and no cross-validation"):
            falx.card(folder)
    with pytest.raises(BrokenRun, match="unfinished run"):
        falx.card(tmp_path / f"run{PARTIAL}")


def test_a_cross_validation_by_an_older_falx_is_no_damaged_one(folded, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(folded.folder, old)
    predictions = pd.read_csv(old / "predictions.csv")
    predictions.drop(columns=["distance", "status"]).to_csv(old / "predictions.csv", index=False)
    older = "was made by an older falx, which kept no distances and no rules; cross-validate again"
    with pytest.raises(BrokenRun, match=older):
        falx.card(old)
    predictions.to_csv(old / "predictions.csv", index=False)
    metrics = json.loads((old / "metrics.json").read_text())
    for fold in metrics["by_fold"]:
        del fold["rules"]
    (old / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(BrokenRun, match=older):
        falx.card(old)


def test_a_training_by_an_older_falx_is_named_by_its_schema(copy):
    settings = json.loads((copy / "detector" / "detector.json").read_text())
    (copy / "detector" / "detector.json").write_text(json.dumps(settings | {"schema": 2}))
    predictions = pd.read_csv(copy / "predictions.csv")
    predictions.drop(columns=["distance", "status"]).to_csv(copy / "predictions.csv", index=False)
    with pytest.raises(BrokenRun, match="has schema 2, and this falx reads 3; train again"):
        falx.card(copy)


def test_a_damaged_run_is_named(copy):
    predictions = pd.read_csv(copy / "predictions.csv")
    predictions.iloc[:-1].to_csv(copy / "predictions.csv", index=False)
    with pytest.raises(BrokenRun, match="is of other slices"):
        falx.card(copy)
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


def test_a_distance_that_is_no_number_is_read_back_as_such(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    table = pd.read_csv(copy / "predictions.csv")
    table.loc[table["part"] == "test", "distance"] = np.nan
    table.to_csv(copy / "predictions.csv", index=False)
    tested = load_run(copy).tested
    assert np.isnan(tested.distances).all()
    assert (tested.as_table()["status"] == "out_of_distribution").all()
