"""A backbone that learned from another dataset first: shared by runs, recorded, and free of leaks."""

import json
import shutil
import sys

import numpy as np
import pytest

import falx
from falx import cli
from falx.data.catalog import Catalog, build_catalog
from falx.exporting.keras_network import load_keras
from falx.model.backbones import build_backbone
from falx.model.network import backbone_of
from falx.recipe import load_recipe
from falx.verbs.evaluate import leaked_from_training

pytestmark = pytest.mark.slow

SAID = (
    "“mixed”; 5 of its 35 slices share a group with a slice of this dataset and were left out. Of "
    "each batch, 50\N{NARROW NO-BREAK SPACE}% were phantoms."
)


@pytest.fixture(scope="module")
def changes(short):
    return short | {"pretraining.epochs": "1", "batch_size": "8"}


@pytest.fixture(scope="module")
def trained(phantoms, mixed, changes, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "pretrained"
    return falx.train(
        phantoms, recipe="lite", changes=changes, weights="random", pretrain_on=mixed, out=out
    )


@pytest.fixture
def untrainable(trained, monkeypatch):
    """From here on no backbone can be pretrained, only found."""
    monkeypatch.setattr("falx.pretraining.backbone.Transfer", None)


def recorded(folder):
    return json.loads((folder / "run.json").read_text())


def test_the_record_holds_what_was_learned_from_and_how_well(trained):
    about = recorded(trained.folder)["pretraining"]
    assert about == trained.record.pretraining
    numbers = {
        name: about[name] for name in ("name", "slices", "excluded", "trained_on", "held_out")
    }
    assert numbers == {
        "name": "mixed",
        "slices": 35,
        "excluded": 5,
        "trained_on": 27,
        "held_out": 3,
    }
    assert about["phantom_fraction"] == 0.5
    assert 0 <= about["accuracy"] <= 1
    assert 0 <= about["auc"] <= 1
    assert about["seconds"] > 0
    assert len(about["sha256"]) == 64


def test_the_report_and_the_card_tell_it_in_a_sentence(trained, tmp_path):
    assert SAID in (trained.folder / "report.html").read_text("utf-8")
    assert SAID in falx.card(trained.folder, out=tmp_path).markdown.read_text("utf-8")


def test_the_log_tells_how_many_slices_were_left_out(trained):
    log = (trained.folder / "log.jsonl").read_text("utf-8")
    assert "27 of 35 slices of mixed; 5 are excluded because they share a group" in log
    assert "pretraining, epoch 1" in log


def test_the_command_that_repeats_the_run_names_the_other_dataset(trained, mixed):
    assert f"--pretrain-on {mixed}" in recorded(trained.folder)["command"]


def test_what_the_backbone_has_seen_counts_as_seen_when_the_run_is_evaluated(trained, mixed, kinds):
    learned = Catalog.load(trained.folder / "pretraining.parquet")
    assert len(learned) == 30
    assert leaked_from_training(trained.folder / "detector", build_catalog(kinds).usable()).all()
    (trained.folder / "pretraining.parquet").rename(trained.folder / "hidden")
    assert not leaked_from_training(
        trained.folder / "detector", build_catalog(kinds).usable()
    ).any()
    (trained.folder / "hidden").rename(trained.folder / "pretraining.parquet")


def test_a_run_without_it_says_nothing_of_it(run):
    assert recorded(run)["pretraining"] is None
    assert "The backbone was pretrained on" not in (run / "report.html").read_text("utf-8")
    assert not (run / "pretraining.parquet").exists()


def test_folds_side_by_side_share_what_a_training_has_left(
    untrainable, phantoms, mixed, changes, tmp_path
):
    done = falx.crossval(
        phantoms, folds=2, jobs=2, recipe="lite", changes=changes, weights="random", seed=5,
        pretrain_on=mixed, out=tmp_path / "crossval",
    )  # fmt: skip
    about = recorded(done.folder)
    assert about["pretraining"]["excluded"] == 5
    assert f"--pretrain-on {mixed}" in about["command"]
    assert f"--pretrain-on {mixed}" in done.record.command_of("train")
    assert SAID in (done.folder / "report.html").read_text("utf-8")
    assert (done.folder / "pretraining.parquet").is_file()


def test_the_head_is_trained_on_the_backbone_that_was_pretrained(
    trained, changes, tmp_path_factory
):
    (file,) = tmp_path_factory.getbasetemp().glob("cache/banks/backbone-*/*.weights.h5")
    pretrained = build_backbone(load_recipe("lite").changed(changes).backbone, 64, str(file))
    network = load_keras(trained.folder / "detector")
    pairs = zip(backbone_of(network).get_weights(), pretrained.get_weights(), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["falx", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0, " ".join(capsys.readouterr().err.split())


def test_the_command_line_says_it(
    untrainable, phantoms, mixed, changes, tmp_path, monkeypatch, capsys
):
    sets = [f"--set={field}={value}" for field, value in changes.items()]
    code, remarks = call(
        monkeypatch, capsys, "train", phantoms, "--recipe", "lite", "--weights", "random", *sets,
        "--pretrain-on", mixed, "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 0, remarks
    assert " ".join(SAID.split()) in remarks
    assert "Classes: no (30), yes (30); yes is the positive class" in remarks


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ("itself", "can't be pretrained on itself; name another dataset"),
        ("nowhere", "does not exist"),
        ("one class", "only the class 'yes'"),
        ("copies", "Nothing is left to pretrain on: 60 of the 60 slices"),
    ],
)
def test_data_that_can_not_be_pretrained_on_leave_nothing_behind(
    phantoms, tmp_path, other, sentence, monkeypatch, capsys
):
    named = {"itself": phantoms}.get(other, tmp_path / other)
    if other == "one class":
        shutil.copytree(phantoms / "yes", named / "yes")
    elif other == "copies":
        shutil.copytree(phantoms, named)
    code, remarks = call(
        monkeypatch, capsys, "crossval", phantoms, "--weights", "random",
        "--pretrain-on", named, "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 2
    assert sentence in remarks
    assert not list(tmp_path.glob("run*"))
