"""The command line: answers, exit codes, and one sentence where something is wrong."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from falx import cli
from falx.cli import terminal
from falx.notice import NOTICE
from helpers import head_slices, write_nifti, write_series


@pytest.fixture
def falx(monkeypatch, capsys):
    """Call the command line as a person would: arguments to (exit code, output, remarks)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["falx", *map(str, arguments)])
        for shown_on in (terminal.out, terminal.err):
            # COLUMNS decides only for a console that was not made before.
            monkeypatch.setattr(shown_on, "width", 200)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return call


def one_sentence(remarks):
    lines = [line for line in remarks.splitlines() if line.strip()]
    return len(lines) == 1 and lines[0].startswith("Error: ") and lines[0].endswith(".")


@pytest.fixture
def slices(phantoms, tmp_path):
    """Three slices, and one file that is no image."""
    folder = tmp_path / "slices"
    folder.mkdir()
    for file in sorted((phantoms / "yes").glob("*.png"))[:3]:
        shutil.copy(file, folder)
    (folder / "broken.jpg").write_text("no image")
    return folder


def test_the_help_names_every_verb(falx):
    code, out, _ = falx("--help")
    assert code == 0
    for verb in (
        "audit",
        "train",
        "crossval",
        "evaluate",
        "predict",
        "adapt",
        "card",
        "demo",
        "phantom",
        "fetch",
        "doctor",
    ):
        assert verb in out


def test_the_help_shows_the_defaults(falx):
    _, out, _ = falx("train", "--help")
    assert "[default: 70/15/15]" in out
    assert "by default 'localized'" in " ".join(out.replace("│", " ").split())


def test_an_unknown_option_is_wrong_use(falx):
    assert falx("train", "data", "--sede", "1")[0] == 2


def test_predict_shows_a_table_and_names_what_it_left_out(falx, run, slices):
    code, out, remarks = falx("predict", run, slices)
    assert code == 0
    assert out.count(".png") == 3
    assert "p(yes)" in out
    assert "1 file was left out" in remarks
    assert "'broken.jpg' is not a JPEG" in remarks
    assert NOTICE in remarks


def test_predict_shows_a_line_for_each_volume_and_none_for_its_slices(falx, run, tmp_path):
    file = write_nifti(tmp_path / "t1.nii.gz", head_slices())
    code, out, remarks = falx("predict", run, file)
    assert code == 0
    assert out.count("t1.nii.gz") == 1
    assert "1 study: 1 " in out
    assert "Answers for the 16 slices of these studies" in remarks


def test_strict_exits_with_3_where_slices_were_left_out(falx, run, tmp_path):
    write_series(tmp_path, head_slices())
    assert falx("predict", run, tmp_path, "--strict")[0] == 0
    write_series(tmp_path, head_slices()[:1], first=101)
    assert falx("predict", run, tmp_path, "--strict")[0] == 3


def test_strict_exits_with_3_where_a_file_could_not_be_read(falx, run, slices):
    assert falx("predict", run, slices, "--strict")[0] == 3
    (slices / "broken.jpg").unlink()
    assert falx("predict", run, slices, "--strict")[0] == 0


def test_a_pipe_gets_nothing_but_json(falx, run, slices):
    code, out, _ = falx("predict", run, slices, "--json", "-")
    answer = json.loads(out)
    assert code == 0
    assert len(answer["slices"]) == 3
    assert [one["path"].endswith("broken.jpg") for one in answer["left_out"]] == [True]


def test_a_pipe_gets_nothing_but_csv(falx, run, slices):
    _, out, _ = falx("predict", run, slices, "--csv", "-")
    lines = out.splitlines()
    assert lines[0] == (
        "path,index,status,label,probability,p_no,p_yes,distance,study,series,level,region,problem"
    )
    assert len(lines) == 1 + 3 + 1


def test_files_are_written_and_named(falx, run, slices, tmp_path):
    _, _, remarks = falx(
        "predict", run, slices, "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json"
    )
    assert (tmp_path / "a.csv").read_text().count(".png") == 3
    assert len(json.loads((tmp_path / "a.json").read_text())["slices"]) == 3
    assert "Wrote" in remarks


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_file_name_that_is_not_unicode_is_written_all_the_same(falx, run, slices, tmp_path):
    odd = slices / os.fsdecode(b"caf\xe9.png")
    shutil.copy(sorted(slices.glob("*.png"))[0], odd)
    code, out, _ = falx("predict", run, odd, "--json", "-", "--csv", tmp_path / "a.csv")
    assert code == 0
    assert os.fsencode(json.loads(out)["slices"][0]["path"]).endswith(b"caf\xe9.png")
    assert "caf\\udce9.png" in (tmp_path / "a.csv").read_text()


def test_folders_for_answers_are_made_and_a_file_in_the_way_is_one_sentence(
    falx, run, slices, tmp_path
):
    assert falx("predict", run, slices, "--csv", tmp_path / "new" / "a.csv")[0] == 0
    code, _, remarks = falx("predict", run, slices, "--csv", tmp_path / "new" / "a.csv" / "b.csv")
    assert code == 2
    assert remarks.splitlines()[-1].startswith("Error: ")
    assert "can't be written" in remarks


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("nowhere.png", "nowhere.png"), ("*.nothing", "matches"), ("", "There is no file in")],
)
def test_a_path_that_holds_nothing_is_one_sentence(falx, run, tmp_path, path, sentence):
    code, _, remarks = falx("predict", run, tmp_path / path)
    assert code == 2
    assert one_sentence(remarks)
    assert sentence in remarks


def test_a_folder_that_is_no_run_is_one_sentence(falx, tmp_path):
    code, _, remarks = falx("predict", "--detector", tmp_path, tmp_path)
    assert code == 2
    assert one_sentence(remarks)
    assert "neither a run nor a detector" in remarks
    (tmp_path / "run.json").touch()
    assert "neither a run nor a detector" in falx("predict", tmp_path, tmp_path)[2]


def test_without_a_detector_that_which_ships_with_falx_answers(falx, slices):
    code, out, _ = falx("predict", slices)
    assert code == 0
    assert "p(tumor)" in out
    assert out.count(".png") == 3


def test_audit_shows_a_summary_and_writes_page_and_json(falx, phantoms, tmp_path):
    page, file = tmp_path / "audit.html", tmp_path / "audit.json"
    code, out, _ = falx("audit", phantoms, "--html", page, "--json", file)
    assert code == 0
    assert "30 no and 30 yes" in out
    assert "60 of 60, with copies" in out
    assert json.loads(file.read_text())["distinct"] == 60
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_audit_gives_a_pipe_nothing_but_json(falx, phantoms):
    _, out, _ = falx("audit", phantoms, "--json", "-")
    assert json.loads(out)["slices"] == 60


def test_evaluate_warns_of_leakage(falx, run, phantoms, tmp_path):
    code, out, remarks = falx("evaluate", run, phantoms, "--out", tmp_path / "again")
    seen = pd.read_csv(run / "split.csv")["part"].ne("test").sum()
    assert code == 0
    assert f"{seen} of 60 slices share a group with slices that the detector has seen" in remarks
    assert "without leakage" in out
    assert (tmp_path / "again" / "report.html").is_file()


def test_train_says_which_classes_it_found_and_which_is_positive(falx, phantoms, quick, tmp_path):
    options = [f"--set={field}={value}" for field, value in quick.items()]
    code, out, remarks = falx("train", phantoms, *options, "--out", tmp_path / "run")
    assert code == 0
    assert "Classes: no (30), yes (30); yes is the positive class" in remarks
    assert "Coverage of prediction sets (target 90" in out.replace("coverage", "Coverage", 1)
    assert f"falx predict {tmp_path / 'run'} IMAGE..." in remarks


def test_crossval_takes_several_datasets_and_shows_each(falx, phantoms, kinds, quick, tmp_path):
    options = [f"--set={field}={value}" for field, value in quick.items()]
    code, out, remarks = falx(
        "crossval", phantoms, kinds, "--leave-one-source-out", *options,
        "--jobs", 1, "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 0
    assert "folded to two: no, healthy count as 'no'" in " ".join(remarks.split())
    for words in ("by source", "phantoms (n = 60)", "kinds (n = 30)", "Out-of-distribution"):
        assert words in out


def test_audit_takes_several_datasets(falx, phantoms, mixed):
    code, out, _ = falx("audit", phantoms, mixed, "--json", "-")
    assert code == 0
    groups = json.loads(out)["groups"]
    across = [each for each in groups if len({path.split("/")[-3] for path in each}) > 1]
    assert len(across) == 5


def test_leave_one_source_out_of_one_dataset_is_one_sentence(falx, phantoms):
    code, _, remarks = falx("crossval", phantoms, "--leave-one-source-out")
    assert code == 2
    assert one_sentence(remarks)
    assert "needs at least two datasets" in remarks


def test_phantom_writes_slices(falx, tmp_path):
    code, _, remarks = falx("phantom", tmp_path / "set", "-n", 4, "--size", 64)
    assert code == 0
    assert len(list((tmp_path / "set").glob("*/*.png"))) == 4
    assert "Wrote 4 slices" in remarks


def test_fetch_shows_what_it_knows(falx):
    code, out, _ = falx("fetch")
    assert code == 0
    for name in ("navoneel", "msoud", "imagenet"):
        assert name in out
    assert out.count("license: ") == out.count("page: https://") == 3


def test_fetch_names_the_page_of_what_needs_a_browser(falx):
    code, out, remarks = falx("fetch", "msoud")
    assert (code, out) == (2, "")
    assert one_sentence(remarks)
    assert "https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset" in remarks


def test_fetch_names_what_is_there_already(falx, tmp_path, monkeypatch):
    from falx.data.publications import find_publication

    entry = find_publication("imagenet")
    file = tmp_path / "models" / entry.file
    file.parent.mkdir()
    file.write_bytes(bytes(entry.size))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    code, out, remarks = falx("fetch", "imagenet")
    assert (code, out) == (0, "")
    assert "there already; nothing was downloaded" in remarks
    # These are zeros.
    assert "Its size is as published; its content can't be checked" in remarks
    assert "license: Apache-2.0" in remarks


def test_doctor_names_versions_weights_and_extras(falx, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    code, out, _ = falx("doctor")
    assert code == 0
    for what in ("openvino", "processor", "ImageNet weights", "falx[train]", "telemetry"):
        assert what in out


def test_a_setting_without_a_value_is_one_sentence(falx, phantoms):
    code, _, remarks = falx("train", phantoms, "--weights", "random", "--set", "head.dropout")
    assert code == 2
    assert one_sentence(remarks)
    assert "FIELD=VALUE" in remarks


def test_a_misspelt_field_names_its_nearest_neighbor(falx, phantoms):
    _, _, remarks = falx("train", phantoms, "--weights", "random", "--set", "head.droput=0.3")
    assert one_sentence(remarks)
    assert "did you mean 'head.dropout'" in remarks


def test_without_weights_the_three_ways_are_named_before_any_image_is_read(
    falx, phantoms, tmp_path, monkeypatch
):
    monkeypatch.setattr("falx.data.catalog.read_slices", None)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("FALX_OFFLINE", "1")
    monkeypatch.setattr("falx.offline.sys.addaudithook", lambda hook: None)
    code, _, remarks = falx("train", phantoms, "--weights", "imagenet")
    assert code == 2
    assert one_sentence(remarks)
    for way in ("go online once", "--weights PATH", "FALX_WEIGHTS"):
        assert way in remarks


def test_nothing_is_downloaded_for_data_that_are_not_there(falx, tmp_path, monkeypatch):
    monkeypatch.setattr("falx.runs.inputs.find_weights", None)
    code, _, remarks = falx("train", tmp_path / "nowhere")
    assert code == 2
    assert "does not exist" in remarks
    assert one_sentence(remarks)


def test_a_predict_that_could_use_nothing_is_no_success(falx, run, tmp_path):
    (tmp_path / "notes.jpg").write_text("no image")
    write_series(tmp_path, head_slices()[4:6], Modality="CT")
    code, _, remarks = falx("predict", run, tmp_path)
    assert code == 2
    assert "a CT image, not MR" in remarks
    assert remarks.splitlines()[-1] == (
        "Error: None of 3 files holds an MR slice that can be used; give such files."
    )


def test_the_version_is_shown(falx):
    assert falx("--version")[:2] == (0, "falx 0.1.0\n")


def test_the_installed_command_starts():
    done = subprocess.run(
        [sys.executable, "-m", "falx.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage: falx" in done.stdout or "Usage: python -m falx.cli" in done.stdout


def test_card_names_the_files_that_it_wrote(falx, run, tmp_path):
    code, out, remarks = falx("card", run, "--out", tmp_path / "cards")
    assert (code, out) == (0, "")
    assert "card.md" in remarks
    assert (tmp_path / "cards" / "card.html").is_file()


def test_card_of_what_is_no_run_is_one_sentence(falx, tmp_path):
    code, _, remarks = falx("card", tmp_path)
    assert code == 2
    assert one_sentence(remarks)
    assert "is no run (it lacks run.json)" in remarks


def test_crossval_shows_scores_out_of_fold_and_keeps_a_report(falx, phantoms, tmp_path):
    out = tmp_path / "crossval"
    code, shown, remarks = falx(
        "crossval", phantoms, "--recipe", "best", "--weights", "phantom",
        "--set", "rendering.size=64", "--folds", 2, "--jobs", 1, "--out", out,
    )  # fmt: skip
    assert code == 0
    assert "out of fold (n = 60)" in shown
    for name in ("report.html", "predictions.csv", "label_issues.csv", "metrics.json"):
        assert (out / name).is_file()
    assert f"Wrote {out}" in remarks
    assert "Warning" not in remarks


@pytest.mark.slow
def test_demo_shows_both_tests_and_names_what_comes_next(falx, tmp_path, monkeypatch):
    monkeypatch.setattr("falx.verbs.demo._TEST_SLICES", 24)
    out = tmp_path / "demo"
    code, shown, remarks = falx("demo", "-n", 60, "--out", out)
    assert code == 0
    assert "other phantoms (n = 24)" in shown
    assert (out / "report.html").is_file()
    assert (tmp_path / "demo-on-others" / "report.html").is_file()
    assert f"falx predict {out} IMAGE..." in remarks


@pytest.mark.slow
def test_bench_shows_a_row_for_each_export_and_names_the_figure(falx, run, tmp_path, monkeypatch):
    monkeypatch.setattr("falx.deployment.benchmark._PRECISIONS", ("fp32",))
    out = tmp_path / "bench"
    code, shown, remarks = falx("bench", run, "--rounds", 1, "--seconds", 0.1, "--out", out)
    assert code == 0
    for row in ("Keras", "OpenVINO", "ONNX", "LiteRT"):
        assert row in shown
    assert (out / "bench.csv").is_file()
    assert f"Look at the figure: {out / 'bench.png'}" in remarks


@pytest.mark.slow
def test_pretrain_says_how_well_it_finds_tumors_and_how_to_train_from_it(
    falx, tmp_path, monkeypatch
):
    monkeypatch.setattr("falx.pretraining.localizing.ROUND", 2)
    monkeypatch.setattr("falx.pretraining.localizing._PHANTOMS", 16)
    out = tmp_path / "backbone"
    code, shown, remarks = falx(
        "pretrain", "-n", 16, "--size", 64, "--batch-size", 8, "--weights", "random", "--out", out
    )
    assert (code, shown) == (0, "")
    assert "On other phantoms: AUC 0." in remarks
    assert f"Train from it: falx train DATA --weights {out / 'backbone.weights.h5'}" in remarks
    assert (out / "backbone.weights.h5").is_file()
