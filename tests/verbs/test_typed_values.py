"""In Python, an option takes a value of its own type, and a path as text or as a path."""

import json
from pathlib import Path

import pytest

import falx
from conftest import BACKBONE
from falx.errors import BadInput


@pytest.fixture(scope="module")
def typed(phantoms, weights, tmp_path_factory):
    """A training without Keras."""
    return falx.train(
        Path(phantoms),
        recipe="best",
        weights=Path(weights),
        changes=BACKBONE | {"phases.0.epochs": 2, "flip_tta": False},
        split=(0.7, 0.15, 0.15),
        operating_point=0.5,
        out=str(tmp_path_factory.mktemp("typed") / "run"),
    )


def test_a_run_records_what_the_command_line_takes(typed):
    options = json.loads((typed.folder / "run.json").read_text())["options"]
    assert options["split"] == "70/15/15"
    assert options["operating_point"] == 0.5
    assert options["changes"]["phases.0.epochs"] == "2"
    assert "--operating-point 0.5" in typed.record.command
    assert "--set flip_tta=false" in typed.record.command


def test_values_reach_the_detector(typed):
    assert typed.detector.settings.rules.threshold == 0.5
    assert typed.recipe.phases[0].epochs == 2
    assert typed.recipe.flip_tta is False


def test_text_and_paths_mean_the_same(typed, phantoms, tmp_path):
    masks = phantoms.with_name("phantoms-masks")
    done = falx.evaluate(
        typed.folder,
        str(phantoms),
        masks=str(masks),
        faithfulness_slices=0,
        out=str(tmp_path / "a"),
    )
    again = falx.evaluate(
        str(typed.folder), phantoms, masks=masks, faithfulness_slices=0, out=tmp_path / "b"
    )
    assert done.scores.as_dict() == again.scores.as_dict()
    assert done.evaluation.localization is not None
    assert done.folder == tmp_path / "a"
    page = tmp_path / "audit.html"
    falx.audit(str(phantoms), html=str(page), json=str(tmp_path / "audit.json"))
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert json.loads((tmp_path / "audit.json").read_text())["slices"] == 60


def test_wrong_fractions_are_refused_before_any_image_is_read(phantoms, monkeypatch):
    monkeypatch.setattr("falx.data.catalog.read_slices", None)
    with pytest.raises(BadInput, match="whole percents that sum to 1"):
        falx.train(phantoms, split=(0.7, 0.2, 0.2))
