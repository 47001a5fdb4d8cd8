"""Settings of a detector: what they allow, and their file."""

import json
from dataclasses import replace

import pytest

from falx.detect.rules import Rules, StudyRules
from falx.detect.settings import SCHEMA, Settings
from falx.errors import BrokenRun
from falx.recipe import Rendering

STUDY = StudyRules(slope=1.5, intercept=-0.25, threshold=0.4, conformal_threshold=0.3, n=40)


def settings(**changes):
    return Settings(
        **{
            "classes": ("no", "yes"),
            "rendering": Rendering(size=64),
            "rules": Rules(threshold=0.4),
            "flip_tta": False,
            "recipe": "lite",
            "network_sha256": "ab",
        }
        | changes
    )


@pytest.mark.parametrize("rules", [Rules(), Rules(study=STUDY)], ids=["slices", "and studies"])
@pytest.mark.parametrize("planes", [(), ("axial", "sagittal")])
def test_settings_survive_their_file(rules, planes, tmp_path):
    written = settings(rules=replace(rules, planes=planes))
    written.save(tmp_path)
    assert Settings.load(tmp_path) == written


def test_one_class_is_none():
    with pytest.raises(ValueError, match="`classes` must be two or more, got 1"):
        settings(classes=("yes",))


@pytest.mark.parametrize("plane", ["axial", ""])
def test_trained_on_slices_of_unknown_plane_it_answers_axial_and_unknown_ones(plane):
    assert Rules().why_untrained(plane) == ""


@pytest.mark.parametrize("plane", ["sagittal", "coronal", "oblique"])
def test_trained_on_slices_of_unknown_plane_it_refers_others(plane):
    assert Rules().why_untrained(plane) == (
        f"its slices are {plane}, and the training data did not say that they held such"
    )


@pytest.mark.parametrize("plane", ["sagittal", "coronal", ""])
def test_it_answers_the_planes_that_it_was_trained_on_and_unknown_ones(plane):
    assert Rules(planes=("coronal", "sagittal")).why_untrained(plane) == ""


def test_it_refers_planes_that_it_was_not_trained_on():
    assert Rules(planes=("coronal", "sagittal")).why_untrained("axial") == (
        "its slices are axial, and those of the training data coronal or sagittal"
    )
    assert Rules(planes=("axial",)).why_untrained("oblique") == (
        "its slices are oblique, and those of the training data axial"
    )


def test_another_schema_is_one_sentence(tmp_path):
    settings().save(tmp_path)
    file = tmp_path / "detector.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    with pytest.raises(BrokenRun, match=f"has schema 99, and this version of falx reads {SCHEMA};"):
        Settings.load(tmp_path)


def without_planes(content):
    del content["rules"]["planes"]


def without_study(content):
    del content["rules"]["study"]


def of_one_class(content):
    content["classes"] = ["yes"]


def with_half_a_study(content):
    content["rules"]["study"] = {"slope": 1.0}


def with_a_threshold_of_2(content):
    content["rules"]["threshold"] = 2


@pytest.mark.parametrize(
    "damage",
    [without_planes, without_study, of_one_class, with_half_a_study, with_a_threshold_of_2],
)
def test_a_damaged_file_is_one_sentence(damage, tmp_path):
    settings(rules=Rules(study=STUDY)).save(tmp_path)
    file = tmp_path / "detector.json"
    content = json.loads(file.read_text())
    damage(content)
    file.write_text(json.dumps(content))
    with pytest.raises(BrokenRun, match=r"detector\.json' is damaged \(.*\); train or copy") as e:
        Settings.load(tmp_path)
    assert str(e.value).count("\n") == 0
