"""A detector is adapted to a few patients of a place, or left as it is."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import falx
from falx.cli import app
from falx.data.catalog import build_catalog
from falx.data.fingerprints import Fingerprints
from falx.detect.detector import detector_folder, network_sha256
from falx.detect.site_reference import SiteReference
from falx.errors import BadInput
from falx.evaluation.evaluation import Evaluation
from falx.exporting.linear_detector import is_adapted, load_head
from falx.phantoms import write_phantoms
from falx.recipe import load_recipe
from falx.reporting.words.adaptation import verdict
from falx.reporting.words.unlabeled import unlabeled_rows
from falx.runs.adaptation import check_groups
from falx.training import ood

RECIPE = load_recipe("best").changed(
    {"rendering.size": 64, "backbone.width": 0.35, "phases.0.epochs": 1}
)


@pytest.fixture(scope="module")
def linear(phantoms, weights, tmp_path_factory):
    """The run folder of a linear head on a frozen backbone."""
    out = tmp_path_factory.mktemp("runs") / "linear"
    return falx.train(phantoms, recipe=RECIPE, weights=weights, out=out).folder


def table_of_patients(folder, patients=6, size=12, *, swapped=False, seed=21):
    """Phantoms of several patients, as a CSV file; with `swapped` labels, nothing fits."""
    write_phantoms(folder, patients * size, seed=seed, size=96)
    catalog = build_catalog(folder).usable()
    paths = catalog.table.sort_values("path")["path"].tolist()
    labels = [path.split("/")[0] for path in paths]
    if swapped:
        labels = [{"yes": "no", "no": "yes"}[label] for label in labels]
    # Files are sorted by class, so that every patient gets slices of both.
    rows = {
        "path": [str(folder / path) for path in paths],
        "label": labels,
        "patient": [f"P{row % patients}" for row in range(len(paths))],
    }
    file = folder.parent / f"{folder.name}.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def swapped(tmp_path_factory):
    """A place where what the detector calls a tumor is none."""
    return table_of_patients(tmp_path_factory.mktemp("local") / "swapped", swapped=True)


@pytest.fixture(scope="module")
def done(linear, swapped, tmp_path_factory):
    return falx.adapt(linear, swapped, out=tmp_path_factory.mktemp("adapted") / "adapted")


def test_what_is_gained_is_written_as_a_detector(done, linear):
    adaptation = done.adaptation
    assert adaptation.taken is not None
    before, after = adaptation.before, adaptation.taken.evaluation
    assert after.scores.estimates["log_loss"].value < before.scores.estimates["log_loss"].value
    assert {path.name for path in done.folder.iterdir()} == {
        "detector", "adaptation.html", "adaptation.json",
    }  # fmt: skip
    assert {path.name for path in (done.folder / "detector").iterdir()} == {
        "detector.json", "head.npz", "network.bin", "network.xml", "recipe.yaml", "reference.npz",
        "seen.npz", "site.npz",
    }  # fmt: skip
    old, new = load_head(linear / "detector"), load_head(done.folder / "detector")
    assert not np.array_equal(old.kernel, new.kernel)
    assert falx.load(done.folder).settings.rules.ood_threshold is not None


def test_the_new_detector_answers(done, swapped):
    files = pd.read_csv(swapped)["path"].tolist()[:4]
    findings = falx.load(done.folder).predict(files)
    assert len(findings.slices) == 4


def test_every_slice_is_tested_by_what_was_fitted_to_other_patients(done):
    found = done.adaptation.taken.evaluation.predictions
    folds = pd.Series(found.folds[0]).groupby(found.table["patient"]).nunique()
    assert len(found) == 72
    assert (folds == 1).all()
    assert len(found.rules[0]) == 5


def test_the_record_holds_the_numbers_before_and_after(done, swapped, linear):
    record = json.loads((done.folder / "adaptation.json").read_text())
    assert record["taken"] in ("rules", "wide", "head")
    assert [each["candidate"] for each in record["attempts"]] == ["rules", "wide", "head"]
    assert record["detector"] == network_sha256(linear / "detector")
    taken = next(each for each in record["attempts"] if each["candidate"] == record["taken"])
    assert taken["p"] <= 0.05
    assert taken["gain"] > 0
    assert {"roc_auc", "log_loss", "reliability"} <= set(record["before"])
    assert f"falx adapt {linear} {swapped}" in record["command"]


def test_the_page_shows_before_and_after(done):
    page = (done.folder / "adaptation.html").read_text("utf-8")
    log_loss = done.adaptation.before.scores.estimates["log_loss"].value
    assert f"{log_loss:.3f}" in page
    assert "Adapted by" in page
    assert "as it is" in page
    assert "Rejected as out-of-distribution" in page


def test_a_detector_that_is_still_useless_is_called_so(done):
    attempt = done.adaptation.taken
    predictions = attempt.evaluation.predictions
    flat = replace(predictions, probabilities=np.full_like(predictions.probabilities, 0.5))
    right = replace(predictions, probabilities=np.eye(2)[predictions.labels][None] * 0.8 + 0.1)
    useless, useful = (
        replace(done.adaptation, attempts=(replace(attempt, evaluation=Evaluation(each, None)),))
        for each in (flat, right)
    )
    assert "do not use this detector here" in verdict(useless)
    assert "do not use" not in verdict(useful)


def test_the_new_detector_knows_what_it_and_the_old_one_have_seen(done, swapped, phantoms):
    seen = Fingerprints.load(done.folder / "detector")
    assert seen.seen(build_catalog(swapped).usable()).all()
    assert seen.seen(build_catalog(phantoms).usable()).mean() > 0.8


def test_nothing_is_written_where_patients_disagree(linear, swapped, tmp_path):
    """Of five patients, of whom some gain and some lose, p is 2 / 32 at least."""
    table = pd.read_csv(swapped)
    table = table[table["patient"] != "P5"]
    wrong = table["patient"].isin(["P0", "P1", "P2"])
    table["label"] = table["label"].where(~wrong, table["label"].map({"yes": "no", "no": "yes"}))
    mixed = tmp_path / "mixed.csv"
    table.to_csv(mixed, index=False)
    result = CliRunner().invoke(
        app, ["adapt", str(linear), str(mixed), "--out", str(tmp_path / "again")]
    )
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "again").iterdir()} == {
        "adaptation.html", "adaptation.json",
    }  # fmt: skip
    page = (tmp_path / "again" / "adaptation.html").read_text("utf-8")
    assert "stays as it is" in page


def test_slices_that_the_detector_has_seen_are_left_out(linear, phantoms, tmp_path):
    with pytest.raises(BadInput, match=r"at least 5 patients"):
        falx.adapt(linear, _only_trained_on(linear, phantoms, tmp_path), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _only_trained_on(linear, phantoms, folder):
    """A copy of the training slices of a run."""
    split = pd.read_csv(linear / "split.csv")
    for path in split.loc[split["part"] == "train", "path"]:
        target = folder / "seen" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(phantoms / path, target)
    return folder / "seen"


def test_too_few_patients_are_refused(linear, swapped, tmp_path):
    table = pd.read_csv(swapped)
    few = tmp_path / "few.csv"
    table[table["patient"].isin(["P0", "P1", "P2"])].to_csv(few, index=False)
    with pytest.raises(BadInput, match=r"at least 5 patients .groups.*there are 3"):
        falx.adapt(linear, few, out=tmp_path / "out")


def test_a_class_of_a_single_patient_is_refused(swapped, tmp_path):
    table = pd.read_csv(swapped)
    file = tmp_path / "one.csv"
    table[(table["label"] == "no") | (table["patient"] == "P0")].to_csv(file, index=False)
    with pytest.raises(
        BadInput, match=r"each class in 2 of them; there are 6, and 1 with .* 'yes'"
    ):
        check_groups(build_catalog(file).usable())


def test_a_detector_without_a_linear_head_is_refused(run, swapped, tmp_path):
    with pytest.raises(BadInput, match=r"no linear head .* --recipe localized or best"):
        falx.adapt(run, swapped, out=tmp_path / "out")


@pytest.fixture(scope="module")
def unlabeled(linear, tmp_path_factory):
    """A folder with slices of six patients, and the detector adapted to it."""
    place = tmp_path_factory.mktemp("unlabeled")
    write_phantoms(place / "all", 60, seed=33, size=96)
    files = sorted(
        each for each in (place / "all").rglob("*.png") if "mask" not in str(each).lower()
    )
    for number, file in enumerate(files):
        target = place / "local" / f"P{number % 6}" / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    local = place / "local"
    return local, falx.adapt(linear, local, unlabeled=True, prior_shift=True, out=place / "adapted")


def test_without_labels_the_reference_is_of_the_place_and_nothing_is_called_tested(
    unlabeled, linear
):
    local, done = unlabeled
    old, new = (falx.load(each).settings.rules for each in (linear, done.folder))
    assert new.ood_threshold != old.ood_threshold
    assert (new.threshold, new.conformal_threshold) == (old.threshold, old.conformal_threshold)
    record = json.loads((done.folder / "adaptation.json").read_text())["unlabeled"]
    assert record["validated"] is False
    assert record["slices"] == len(list(local.rglob("*.png")))
    assert sum(record["prior"].values()) == pytest.approx(1)
    page = (done.folder / "adaptation.html").read_text("utf-8")
    assert "nothing was tested" in page
    assert len(falx.load(done.folder).predict(local).slices) == record["slices"]


def test_the_rate_of_rejection_that_is_set_is_not_shown_as_measured(unlabeled):
    _, done = unlabeled
    record = json.loads((done.folder / "adaptation.json").read_text())["unlabeled"]
    assert set(record["before"]) == {"answer", "refer", "out_of_distribution", "positive"}
    assert set(record["after"]) == {"answer", "refer", "positive"}
    assert record["rejected_by_construction"] == 0.01
    page = (done.folder / "adaptation.html").read_text("utf-8")
    assert page.replace("\N{NARROW NO-BREAK SPACE}", " ").count("1 % by construction") == 1
    (row,) = [row for row in unlabeled_rows(done.adaptation) if row[0].startswith("Rejected")]
    assert row[2].endswith("by construction")
    without = replace(done.adaptation, rejected_by_construction=0.0)
    assert unlabeled_rows(without)[0][2] == "none: no OOD threshold"


def test_distances_are_computed_once(linear, unlabeled, tmp_path, monkeypatch):
    calls: list[int] = []
    fit = ood.fit_mahalanobis
    monkeypatch.setattr(ood, "fit_mahalanobis", lambda each: calls.append(len(each)) or fit(each))
    falx.adapt(linear, unlabeled[0], unlabeled=True, out=tmp_path / "out")
    # Of five folds; the reference itself is fitted by the name in runs.unlabeled.
    assert len(calls) == 5


def test_the_site_check_compares_with_the_unlabeled_slices(unlabeled, linear, phantoms, tmp_path):
    local, done = unlabeled
    site = SiteReference.load(done.folder / "detector").measurements
    assert len(site) == done.adaptation.groups
    assert np.isfinite(site.distances).all()
    assert np.isfinite(site.probabilities).all()
    # Of slices that the detector was trained on, it keeps no probabilities.
    split = pd.read_csv(linear / "split.csv")
    trained = split.loc[split["part"] == "train", "path"].tolist()[:20]
    mixed = shutil.copytree(local, tmp_path / "mixed")
    for number, path in enumerate(trained):
        target = mixed / f"T{number % 5}" / f"{number}.png"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(phantoms / path, target)
    again = falx.adapt(linear, mixed, unlabeled=True, out=tmp_path / "out")
    site = SiteReference.load(again.folder / "detector").measurements
    assert len(site) == again.adaptation.groups
    is_known = np.isfinite(site.probabilities).all(axis=1)
    assert is_known.sum() == done.adaptation.groups
    assert (~is_known).sum() >= 5


def test_the_prior_moves_the_intercept_alone(unlabeled, linear):
    _, done = unlabeled
    old, new = load_head(linear / "detector"), load_head(done.folder / "detector")
    np.testing.assert_array_equal(new.kernel, old.kernel)
    prior = done.adaptation.prior
    assert new.bias[0] - old.bias[0] == pytest.approx(np.log(prior[1] / prior[0]), abs=1e-4)


def test_a_prior_is_not_applied_to_what_an_adaptation_changed(done, unlabeled, tmp_path):
    """Neither to logits that a prior has moved, nor to those fitted with labels, nor to copies."""
    local, moved = unlabeled
    for number, folder in enumerate((done.folder, moved.folder)):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(folder / "detector", copy)
        with pytest.raises(BadInput, match=r"--prior-shift can't be used.* adapted before; adapt"):
            falx.adapt(copy, local, unlabeled=True, prior_shift=True, out=tmp_path / "out")
    again = falx.adapt(copy, local, unlabeled=True, out=tmp_path / "again")
    assert again.adaptation.prior is None
    record = json.loads((again.folder / "adaptation.json").read_text())["unlabeled"]
    assert record["prior"] is None
    page = (again.folder / "adaptation.html").read_text("utf-8")
    assert "is not estimated" in page
    assert "this need not be one: its logits were adapted before" in page
    # That adaptation left the logits as they were, so the fact must come from the one before it.
    assert is_adapted(again.folder / "detector")


def test_an_adaptation_that_leaves_the_logits_leaves_the_prior_known(linear, unlabeled, tmp_path):
    local, _ = unlabeled
    assert not is_adapted(linear / "detector")
    # The file of its head is from before falx kept it.
    assert not is_adapted(detector_folder(None))
    once = falx.adapt(linear, local, unlabeled=True, out=tmp_path / "once")
    assert not is_adapted(once.folder / "detector")
    twice = falx.adapt(once.folder, local, unlabeled=True, out=tmp_path / "twice")
    np.testing.assert_allclose(twice.adaptation.prior, once.adaptation.prior, atol=1e-4)


def test_a_detector_whose_recipe_does_not_balance_classes_has_no_prior(linear, unlabeled, tmp_path):
    shutil.copytree(linear / "detector", tmp_path / "copy")
    recipe = RECIPE.changed({"class_weights": "none"})
    (tmp_path / "copy" / "recipe.yaml").write_text(recipe.to_yaml(), "utf-8")
    with pytest.raises(BadInput, match=r"its recipe does not balance classes; adapt one"):
        falx.adapt(
            tmp_path / "copy", unlabeled[0], unlabeled=True, prior_shift=True, out=tmp_path / "out"
        )


def test_without_labels_too_few_patients_are_refused(unlabeled, linear, tmp_path):
    local, _ = unlabeled
    shutil.copytree(local / "P0", tmp_path / "few" / "P0")
    with pytest.raises(BadInput, match=r"at least 5 patients .groups.; there are 1"):
        falx.adapt(linear, tmp_path / "few", unlabeled=True, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_prior_shift_is_for_slices_without_labels(linear, swapped, tmp_path):
    with pytest.raises(BadInput, match=r"--prior-shift is for slices without labels"):
        falx.adapt(linear, swapped, prior_shift=True, out=tmp_path / "out")


def test_other_classes_are_refused(linear, kinds, tmp_path):
    with pytest.raises(BadInput, match=r"hold the class 'glioma'.* Rename the folders to match[.]"):
        falx.adapt(linear, kinds, out=tmp_path / "out")
