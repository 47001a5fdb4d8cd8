"""A short training on real scans gives a detector that is worth something, without a leak."""

import json
import subprocess
import sys

import pandas as pd
import pytest

import falx


@pytest.fixture(scope="module")
def trained(navoneel, weights, tmp_path_factory):
    """The recipe `lite`, its frozen phase cut short and no tuning."""
    return falx.train(
        navoneel,
        recipe="lite",
        changes={"phases.0.epochs": "5", "phases.1.epochs": "0"},
        weights=str(weights),
        out=tmp_path_factory.mktemp("real") / "run",
    )


def test_it_separates_tumors_from_none_on_slices_that_did_not_leak(trained):
    split = pd.read_csv(trained.folder / "split.csv")
    assert (split.groupby("group")["part"].nunique() == 1).all()
    assert trained.scores.estimates["roc_auc"].value > 0.8


def test_the_weights_are_named_by_their_hash(trained):
    about = json.loads((trained.folder / "run.json").read_text())
    assert about["weights"]["sha256"].startswith("40093080f14df34b")


def test_predict_answers_for_every_slice_in_a_process_of_its_own(trained, navoneel):
    options = ("--json", "-", "--strict")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "falx.cli",
            "--offline",
            "predict",
            trained.folder,
            navoneel,
            *options,
        ],
        capture_output=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert len(answer["slices"]) == 253
    right = sum(one["path"].split("/")[-2] == one["label"] for one in answer["slices"])
    assert right / 253 > 0.8
