"""A run folder is read back whole, or named as what it is."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from falx.errors import BrokenRun
from falx.runs.reading import open_run


@pytest.fixture
def copy(run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    return folder


def test_a_run_may_be_named_by_its_detector(run):
    assert open_run(run / "detector").folder == run.absolute()
    assert open_run(run).settings == open_run(run / "detector").settings


def test_leakage_is_what_the_predictions_say(run):
    table = pd.read_csv(run / "predictions.csv")
    expected = table.loc[table["part"] == "test", "leaked"].astype(bool)
    np.testing.assert_array_equal(open_run(run).evaluation.leaked, expected)


def test_parameters_are_counted_without_keras(run):
    found = open_run(run)
    assert found.parameters > 300_000
    assert found.history["epoch"].tolist() == [1, 2]
    assert [part.name for part in found.parts] == ["train", "validation", "test"]
    assert sum(sum(part.counts.values()) for part in found.parts) == 60


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "predictions.csv"])
def test_a_folder_that_lacks_a_file_is_no_run(copy, name):
    (copy / name).unlink()
    with pytest.raises(BrokenRun, match=f"is no run \\(it lacks {name}\\)"):
        open_run(copy)


def test_an_unfinished_run_is_named_as_such(copy):
    partial = copy.rename(copy.with_name("copy.partial"))
    with pytest.raises(BrokenRun, match="is an unfinished run; run its command again"):
        open_run(partial)


def test_predictions_of_other_slices_are_noticed(copy):
    table = pd.read_csv(copy / "predictions.csv", dtype=str, keep_default_na=False)
    table.loc[table.index[-1], "path"] = "yes/other.png"
    table.to_csv(copy / "predictions.csv", index=False)
    with pytest.raises(BrokenRun, match=r"damaged \(predictions.csv and catalog.parquet name"):
        open_run(copy)


def test_a_damaged_record_is_one_sentence(copy):
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(record | {"colour": "red"}))
    with pytest.raises(BrokenRun, match=r"is damaged .*; copy it anew, or train again"):
        open_run(copy)


def test_an_altered_network_is_noticed(copy):
    (copy / "detector" / "network.bin").write_bytes(b"other")
    with pytest.raises(BrokenRun, match="was altered or cut off"):
        open_run(copy)
