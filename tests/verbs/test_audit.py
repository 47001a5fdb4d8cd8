"""`falx audit DATA --crossval RUN`: label issues of a cross-validation, end to end."""

import json
import shutil
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

import falx
from falx import cli
from falx.errors import BadInput, BrokenRun
from helpers import head_slices, write_nifti

pytestmark = pytest.mark.slow

WRONG = {"no/00002.png", "yes/00001.png"}


@pytest.fixture(scope="module")
def checked(phantoms, quick, tmp_path_factory):
    """A cross-validation whose networks are sure of every slice, and contradict two labels."""
    out = tmp_path_factory.mktemp("runs") / "checked"
    run = falx.crossval(phantoms, folds=3, repeats=2, changes=quick, out=out).folder
    table = pd.read_csv(run / "predictions.csv")
    assert set(table["path"]) >= WRONG
    looks_like_yes = (table["label"] == "yes") != table["path"].isin(WRONG)
    table["p_yes"] = np.where(looks_like_yes, 0.9, 0.1)
    table["p_no"] = 1 - table["p_yes"]
    table.to_csv(run / "predictions.csv", index=False)
    return run


@pytest.fixture
def moved(phantoms, tmp_path):
    """The same slices in another folder, under other names."""
    folder = tmp_path / "moved"
    for file in phantoms.glob("*/*.png"):
        target = folder / file.parent.name / f"new-{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return folder


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["falx", "audit", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


def test_label_issues_are_in_the_table_the_json_and_the_page(
    phantoms, checked, tmp_path, monkeypatch, capsys
):
    page, file = tmp_path / "audit.html", tmp_path / "audit.json"
    assert call(monkeypatch, phantoms, "--crossval", checked, "--html", page, "--json", file) == 0
    out = capsys.readouterr().out
    assert "cross-validation flags 2 of 60 labels as likely wrong." in " ".join(out.split())
    assert "no/00002.png: suggested yes" in out
    check = json.loads(file.read_text())["label_check"]
    assert (check["checked"], check["repeats"]) == (60, 2)
    assert {issue["path"] for issue in check["label_issues"]} == WRONG
    assert check["label_issues"][0]["probability"] == pytest.approx(0.1)
    assert {(issue["label"], issue["suggested"]) for issue in check["label_issues"]} == {
        ("no", "yes"), ("yes", "no"),
    }  # fmt: skip
    assert 'id="label-issues"' in page.read_text()
    assert "suggested: yes; p(no) is 0.10" in page.read_text()


def test_masks_of_volumes_label_their_slices_by_the_area_that_is_asked_for(tmp_path):
    """Disks of 113, 317 and 709 mm2 in three of 16 slices; slices 8 mm apart."""
    head = head_slices()
    mask = np.zeros(head.shape, np.uint8)
    for row, radius in ((6, 6), (7, 10), (8, 15)):
        cv2.circle(mask[row], (48, 48), radius, 1, cv2.FILLED)
    write_nifti(tmp_path / "p1" / "t1.nii.gz", head)
    write_nifti(tmp_path / "p1" / "t1_seg.nii.gz", mask)
    write_nifti(tmp_path / "p2" / "t1.nii.gz", head_slices(seed=5))
    write_nifti(tmp_path / "p2" / "t1_seg.nii.gz", 0 * mask)
    for tumor_area, n in ((0, 3), (200, 2), (500, 1)):
        found = falx.audit(tmp_path, tumor_area=tumor_area, tumor_margin=0)
        assert list(found.counts.values()) == [29, n]
    near = falx.audit(tmp_path, tumor_area=0, tumor_margin=10)
    assert list(near.counts.values()) == [27, 3]


def test_without_a_cross_validation_labels_are_not_checked(phantoms):
    found = falx.audit(phantoms)
    assert found.label_check is None
    assert found.as_dict()["label_check"] is None


def test_slices_that_were_moved_and_renamed_are_known_by_their_content(moved, checked):
    found = falx.audit(moved, crossval=checked)
    assert {issue["path"] for issue in found.label_issues()} == {
        path.replace("/", "/new-") for path in WRONG
    }


def test_a_slice_that_is_new_is_not_counted_as_checked(moved, kinds, checked):
    shutil.copy(next(kinds.glob("*/*.png")), moved / "no" / "another.png")
    assert falx.audit(moved, crossval=checked).label_check.checked == 60


def test_a_cross_validation_of_other_data_is_one_sentence(kinds, checked):
    with pytest.raises(BadInput, match="is a cross-validation of other data"):
        falx.audit(kinds, crossval=checked)


def test_a_training_is_one_sentence(phantoms, run):
    with pytest.raises(BadInput, match="is no cross-validation"):
        falx.audit(phantoms, crossval=run)


def test_what_is_no_run_is_one_sentence(phantoms, tmp_path):
    with pytest.raises(BrokenRun, match="is no run"):
        falx.audit(phantoms, crossval=tmp_path)


@pytest.mark.parametrize("option", ["html", "json"])
def test_a_file_that_can_not_be_written_is_found_before_anything_is_read(
    phantoms, tmp_path, option
):
    steps = []
    with pytest.raises(BadInput, match="is a folder"):
        falx.audit(phantoms, **{option: tmp_path}, listener=steps.append)
    assert steps == []
