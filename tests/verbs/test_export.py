"""An export is whole and answers as its network, or it is not there."""

import json
import shutil
import sys
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

import falx
from falx.cli import main
from falx.deployment import parity
from falx.deployment.parity import Bound
from falx.errors import BadInput, BrokenRun, ParityError
from falx.exporting.choices import EIGHT_BITS
from falx.verbs.export import Attempt, _some_of_each, answers_of, attempts_at


@pytest.fixture
def strict(monkeypatch):
    """No export comes so close."""
    for precision in parity.BOUNDS:
        monkeypatch.setitem(parity.BOUNDS, precision, Bound(0.0, -1.0, 0.0, 0.0))


def test_an_export_holds_its_network_how_to_use_it_and_the_proof(run, tmp_path):
    done = falx.export(run, "onnx", out=tmp_path / "out")
    assert {path.name for path in done.folder.iterdir()} == {
        "network.onnx", "labels.json", "README.md", "classify.py", "parity.json", "parity.csv",
    }  # fmt: skip
    record = json.loads((done.folder / "parity.json").read_text())
    assert record["passed"]
    assert record["tried_before"] == []
    assert record["bytes"] == (done.folder / "network.onnx").stat().st_size == done.bytes
    assert done.parity.largest < 1e-4


def test_it_is_held_to_its_network_on_slices_that_it_was_not_trained_on(run, tmp_path):
    done = falx.export(run, "litert", out=tmp_path / "out")
    split = pd.read_csv(run / "split.csv")
    compared = pd.read_csv(done.folder / "parity.csv")
    assert sorted(compared["path"]) == sorted(split.loc[split["part"] != "train", "path"])
    probabilities = pd.read_csv(run / "predictions.csv").set_index("path")["p_yes"]
    expected = probabilities[compared["path"]].to_numpy()
    for who in ("keras", "export"):
        assert compared[f"{who}_p_yes"].to_numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_an_openvino_export_in_8_bits_is_a_detector_and_smaller(run, phantoms, tmp_path):
    done = falx.export(run, "openvino", precision="int8", out=tmp_path / "out")
    assert done.attempt.precision in EIGHT_BITS
    assert done.bytes < 0.6 * sum(
        (run / "detector" / name).stat().st_size for name in ("network.xml", "network.bin")
    )
    ours, theirs = (falx.load(each).predict(phantoms).slices for each in (done.folder, run))
    for one, other in zip(ours, theirs, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=0.15)


def test_what_answers_otherwise_is_refused_and_nothing_is_left(run, tmp_path, strict):
    with pytest.raises(ParityError, match=r"does not answer as the trained one: it .* --force"):
        falx.export(run, "onnx", out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_by_force_it_is_kept_and_marked(run, tmp_path, strict):
    done = falx.export(run, "onnx", out=tmp_path / "out", force=True)
    record = json.loads((done.folder / "parity.json").read_text())
    assert not record["passed"]
    assert record["problem"] == done.parity.problem != ""
    assert done.remarks == (f"Kept although {done.parity.problem}.",)


@pytest.mark.slow
def test_int8_that_is_too_far_off_is_tuned_and_then_left_to_weights_alone(
    run, tmp_path, monkeypatch
):
    monkeypatch.setitem(parity.BOUNDS, "int8", Bound(0.0, -1.0, 0.0, 0.0))
    done = falx.export(run, "onnx", precision="int8", out=tmp_path / "out")
    assert done.attempt == Attempt("int8-weights")
    assert [str(attempt) for attempt, _ in done.before] == ["int8", "int8, tuned"]
    assert done.remarks[0].startswith("Int8 was left, since it")
    record = json.loads((done.folder / "parity.json").read_text())
    assert record["precision"] == "int8-weights"
    assert [each["tuned"] for each in record["tried_before"]] == [False, True]
    assert attempts_at("fp16") == (Attempt("fp16"),)


def test_slices_that_have_moved_are_found_where_one_says(run, phantoms, tmp_path):
    home = tmp_path / "run"
    shutil.copytree(run, home)
    moved = tmp_path / "moved"
    shutil.copytree(phantoms, moved)
    assert falx.export(home, "litert", data=moved, out=tmp_path / "out").parity.problem == ""
    with pytest.raises(BadInput, match="say with --data in which folder they lie now"):
        falx.export(home, "litert", data=tmp_path / "nowhere", out=tmp_path / "other")


@pytest.mark.parametrize(
    ("to", "more", "sentence"),
    [
        ("coreml", {}, "There is no format 'coreml'; choose from openvino, onnx, litert, web."),
        ("onnx", {"precision": "int4"}, "There is no precision 'int4'"),
    ],
)
def test_a_choice_that_there_is_not_is_refused(to, more, sentence, run, tmp_path):
    with pytest.raises(BadInput, match=sentence):
        falx.export(run, to, out=tmp_path / "out", **more)


def test_a_rare_class_is_among_the_slices_that_are_compared():
    labels = np.array([0] * 900 + [1] * 3)
    rows = _some_of_each(np.arange(903), labels, np.random.default_rng(0))
    assert len(rows) == 513
    assert set(labels[rows]) == {0, 1}
    few = _some_of_each(np.array([4, 2, 9]), np.array([0, 1, 0]), np.random.default_rng(0))
    assert few.tolist() == [2, 4, 9]


def test_a_network_other_than_the_detectors_is_refused(run, tmp_path):
    home = tmp_path / "run"
    shutil.copytree(run, home)
    network = keras.saving.load_model(home / "detector" / "network.keras")
    network.get_layer("logits").bias.assign([5.0])
    network.save(home / "detector" / "network.keras")
    with pytest.raises(BrokenRun, match="differ by up to"):
        falx.export(home, "onnx", out=tmp_path / "out")
    (home / "detector" / "network.keras").write_bytes(b"no archive")
    with pytest.raises(falx.FalxError):
        falx.export(home, "onnx", out=tmp_path / "out")


def test_the_command_line_exports(run, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    words = ["falx", "export", str(run), "--to", "litert", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = capsys.readouterr()
    assert "AUC of the export" in shown.out
    assert "classify.py IMAGE..." in shown.err


def test_a_folder_that_is_there_is_not_written_over(run, tmp_path):
    with pytest.raises(BadInput, match="exists already"):
        falx.export(run, "onnx", out=tmp_path)


def test_a_bare_detector_is_no_run(run, tmp_path):
    shutil.copytree(run / "detector", tmp_path / "detector")
    with pytest.raises(falx.FalxError, match="is no training"):
        falx.export(tmp_path / "detector", "onnx", out=tmp_path / "out")


def test_a_network_that_gives_no_numbers_is_not_exported(run, tmp_path, monkeypatch):
    def broken(runtime, views):
        found = answers_of(runtime, views)
        return replace(found, distances=np.full(len(views), np.nan))

    monkeypatch.setattr("falx.verbs.export.answers_of", broken)
    with pytest.raises(BrokenRun, match=r"gives answers that are not numbers, .*; train again"):
        falx.export(run, "onnx", out=tmp_path / "out")
