"""Attempts at a precision are made in turn until one passes; what came about is remarked on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from falx.deployment import parity
from falx.deployment.attempts import Attempt, Export, attempts_at, write_export
from falx.deployment.parity import Bound
from falx.deployment.source import open_source
from falx.detect.rules import Rules
from falx.exporting.runtimes import Outputs


def checked(difference):
    """The parity of an export whose probabilities differ by so much."""
    p = np.linspace(0.1, 0.8, 8)
    expected, actual = (
        Outputs(np.log(each / (1 - each))[:, None], np.ones((8, 2, 2, 1)),
                np.column_stack([1 - each, each]), np.ones(8))
        for each in (p, p + difference)
    )  # fmt: skip
    return parity.compare(
        expected, actual, np.arange(8) % 2, np.arange(8), ("no", "yes"),
        rules=Rules(), precision="fp32",
    )  # fmt: skip


def test_only_int8_has_fallbacks():
    assert attempts_at("fp32") == (Attempt("fp32"),)
    assert attempts_at("fp16") == (Attempt("fp16"),)
    assert [str(attempt) for attempt in attempts_at("int8")] == [
        "int8", "int8, tuned", "int8-weights"
    ]  # fmt: skip


def test_remarks_name_failed_attempts_and_what_was_kept_by_force():
    problem = "it changes the probability of a slice by 0.1000, more than 0.001"
    failed = ((Attempt("int8"), checked(0.1)),)
    export = Export(Path(), Attempt("int8-weights"), 1, checked(0), failed)
    assert export.remarks == (f"Int8 was rejected, since {problem}.",)
    kept = Export(Path(), Attempt("fp32"), 1, checked(0.1))
    assert kept.remarks == (f"Kept although {problem}.",)
    assert Export(Path(), Attempt("fp32"), 1, checked(0)).remarks == ()


@pytest.fixture(scope="module")
def source(run):
    return open_source(run, data=None, cache_gb=1)


def test_the_first_attempt_that_passes_is_kept(source, tmp_path, monkeypatch):
    monkeypatch.setitem(parity.BOUNDS, "fp32", Bound(0.0, -1.0, 0.0, 0.0))
    # Features of this narrow network of random weights are too small for half precision.
    monkeypatch.setitem(parity.BOUNDS, "fp16", Bound(1.0, 1.0, 10.0, 10.0))
    attempts = (Attempt("fp32"), Attempt("fp16"), Attempt("fp16"))
    done = write_export(source, tmp_path, "onnx", attempts)
    assert done.attempt == Attempt("fp16")
    assert [attempt for attempt, _ in done.failed] == [Attempt("fp32")]
    record = json.loads((tmp_path / "parity.json").read_text())
    assert (record["precision"], record["passed"]) == ("fp16", True)
    (failed,) = record["failed_attempts"]
    assert (failed["precision"], failed["tuned"], failed["passed"]) == ("fp32", False, False)
    assert record["bytes"] == (tmp_path / "network.onnx").stat().st_size == done.bytes


def test_without_one_that_passes_the_last_is_kept(source, tmp_path, monkeypatch):
    for precision in ("fp32", "fp16"):
        monkeypatch.setitem(parity.BOUNDS, precision, Bound(0.0, -1.0, 0.0, 0.0))
    done = write_export(source, tmp_path, "onnx", (Attempt("fp32"), Attempt("fp16")))
    assert done.attempt == Attempt("fp16")
    assert done.parity.problem


def test_the_table_holds_both_probabilities_of_each_slice(source, tmp_path):
    done = write_export(source, tmp_path, "onnx", attempts_at("fp32"))
    table = pd.read_csv(tmp_path / "parity.csv")
    assert list(table) == [
        "path", "index", "label", "part", "keras_p_no", "keras_p_yes", "export_p_no",
        "export_p_yes",
    ]  # fmt: skip
    assert table["path"].tolist() == source.usable.table["path"].iloc[source.rows].tolist()
    tested = source.usable.table["path"].iloc[source.split.test]
    assert set(table.loc[table["part"] == "test", "path"]) == set(tested)
    assert table["export_p_yes"].to_numpy() == pytest.approx(done.parity.actual_probabilities[:, 1])
