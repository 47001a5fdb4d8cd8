"""An export is whole and passes its parity check, or it is not there."""

import json
import sys

import pandas as pd
import pytest

import falx
from falx.cli import main
from falx.deployment import parity
from falx.deployment.attempts import Attempt
from falx.deployment.parity import Bound
from falx.errors import BadInput, ParityError
from falx.exporting.choices import EIGHT_BITS


@pytest.fixture
def strict(monkeypatch):
    """Bounds that no export keeps."""
    for precision in parity.BOUNDS:
        monkeypatch.setitem(parity.BOUNDS, precision, Bound(0.0, -1.0, 0.0, 0.0))


def test_an_export_holds_its_network_how_to_use_it_and_the_parity_check(run, tmp_path):
    done = falx.export(run, "onnx", out=tmp_path / "out")
    assert {path.name for path in done.folder.iterdir()} == {
        "network.onnx", "labels.json", "README.md", "classify.py", "parity.json", "parity.csv",
    }  # fmt: skip
    record = json.loads((done.folder / "parity.json").read_text())
    assert record["passed"]
    assert record["failed_attempts"] == []
    assert record["bytes"] == (done.folder / "network.onnx").stat().st_size == done.bytes
    assert done.parity.largest < 1e-4


def test_it_is_compared_with_its_network_on_slices_that_it_was_not_trained_on(run, tmp_path):
    done = falx.export(run, "litert", out=tmp_path / "out")
    split = pd.read_csv(run / "split.csv")
    compared = pd.read_csv(done.folder / "parity.csv")
    assert sorted(compared["path"]) == sorted(split.loc[split["part"] != "train", "path"])
    probabilities = pd.read_csv(run / "predictions.csv").set_index("path")["p_yes"]
    expected = probabilities[compared["path"]].to_numpy()
    for runtime in ("keras", "export"):
        assert compared[f"{runtime}_p_yes"].to_numpy() == pytest.approx(expected, abs=1e-4)


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


def test_an_export_that_fails_the_parity_check_is_not_kept(run, tmp_path, strict):
    message = r"for onnx in fp32 fails the parity check: it .* keep it with --force"
    with pytest.raises(ParityError, match=message):
        falx.export(run, "onnx", out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_by_force_it_is_kept_and_marked(run, tmp_path, strict):
    done = falx.export(run, "onnx", out=tmp_path / "out", force=True)
    record = json.loads((done.folder / "parity.json").read_text())
    assert not record["passed"]
    assert record["problem"] == done.parity.problem != ""
    assert done.remarks == (f"Kept although {done.parity.problem}.",)


@pytest.mark.slow
def test_where_int8_fails_it_is_tuned_and_then_only_weights_are_stored_in_8_bits(
    run, tmp_path, monkeypatch
):
    monkeypatch.setitem(parity.BOUNDS, "int8", Bound(0.0, -1.0, 0.0, 0.0))
    done = falx.export(run, "onnx", precision="int8", out=tmp_path / "out")
    assert done.attempt == Attempt("int8-weights")
    assert [str(attempt) for attempt, _ in done.failed] == ["int8", "int8, tuned"]
    assert done.remarks[0].startswith("Int8 was rejected, since it")
    record = json.loads((done.folder / "parity.json").read_text())
    assert record["precision"] == "int8-weights"
    assert [each["tuned"] for each in record["failed_attempts"]] == [False, True]


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("coreml", {}, "There is no format 'coreml'; choose from openvino, onnx, litert, web."),
        ("onnx", {"precision": "int4"}, "There is no precision 'int4'"),
    ],
)
def test_an_unknown_choice_is_refused(to, options, message, run, tmp_path):
    with pytest.raises(BadInput, match=message):
        falx.export(run, to, out=tmp_path / "out", **options)


def test_slices_that_cannot_be_found_are_asked_for(run, tmp_path):
    with pytest.raises(BadInput, match="say with --data in which folder they lie now"):
        falx.export(run, "litert", data=tmp_path / "nowhere", out=tmp_path / "out")


def test_the_command_line_exports(run, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    arguments = ["falx", "export", str(run), "--to", "litert", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = capsys.readouterr()
    assert "AUC of the export" in shown.out
    assert "classify.py IMAGE..." in shown.err


def test_a_folder_that_exists_is_not_overwritten(run, tmp_path):
    with pytest.raises(BadInput, match="exists already"):
        falx.export(run, "onnx", out=tmp_path)
