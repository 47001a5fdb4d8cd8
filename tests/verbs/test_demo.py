"""`falx demo`: phantoms, a training on them, and a test on others, from what falx ships."""

from __future__ import annotations

import json

import pytest

import falx
from falx.errors import BadInput
from falx.verbs import demo as verb

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "_OTHERS", 24)
        return falx.demo(tmp_path_factory.mktemp("demo") / "run", n=60)


def test_it_trains_from_the_weights_that_falx_ships(done) -> None:
    about = json.loads((done.trained.folder / "environment.json").read_text())
    assert about["weights"]["name"] == "phantom"
    assert (done.trained.folder / "report.html").exists()


def test_it_is_tested_on_other_phantoms_and_their_masks(done) -> None:
    assert done.others.scores.n == 24
    assert done.others.twins == 0
    assert done.others.maps.n == 12


def test_what_it_learned_is_worth_something(done) -> None:
    assert done.others.scores.estimates["roc_auc"].value > 0.75


@pytest.mark.parametrize("part", ["", "-slices", "-on-others"])
def test_a_folder_in_its_way_is_left_alone(tmp_path, part) -> None:
    (tmp_path / f"run{part}").mkdir()
    with pytest.raises(BadInput, match="name another folder"):
        falx.demo(tmp_path / "run")
    assert [file.name for file in tmp_path.iterdir()] == [f"run{part}"]


def test_what_an_earlier_call_drew_is_taken_again_but_nothing_else(tmp_path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr(verb, "_OTHERS", 4)
    monkeypatch.setattr(verb, "train", lambda *_, **__: drawn.append("train") or 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            falx.demo(tmp_path / "run", n=6, seed=3)
    assert drawn == ["train", "train"]
    with pytest.raises(BadInput, match="holds other slices"):
        falx.demo(tmp_path / "run", n=6, seed=4)


@pytest.mark.parametrize("out", [".", "/", ".."])
def test_a_folder_needs_a_name(out) -> None:
    with pytest.raises(BadInput, match="no name for a new folder"):
        falx.demo(out)
