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
        patch.setattr(verb, "_TEST_SLICES", 24)
        return falx.demo(out=tmp_path_factory.mktemp("demo") / "run", slices=60)


def test_it_trains_from_the_weights_that_falx_ships(done) -> None:
    record = json.loads((done.training.folder / "run.json").read_text())
    assert record["weights"]["name"] == "phantom"
    assert (done.training.folder / "report.html").exists()


def test_it_is_tested_on_other_phantoms_and_their_masks(done) -> None:
    tested = done.evaluation.evaluation
    assert tested.scores.n == 24
    assert tested.n_leaked == 0
    assert tested.localization.n == 12


def test_what_it_learned_is_worth_something(done) -> None:
    assert done.evaluation.scores.estimates["roc_auc"].value > 0.75


@pytest.mark.parametrize("part", ["", "-slices", "-on-others"])
def test_a_folder_in_its_way_is_left_alone(tmp_path, part) -> None:
    (tmp_path / f"run{part}").mkdir()
    with pytest.raises(BadInput, match="name another folder"):
        falx.demo(out=tmp_path / "run")
    assert [file.name for file in tmp_path.iterdir()] == [f"run{part}"]


def test_what_an_earlier_call_drew_is_taken_again_but_nothing_else(tmp_path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr(verb, "_TEST_SLICES", 4)
    monkeypatch.setattr(verb, "train", lambda *_, **__: drawn.append("train") or 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            falx.demo(out=tmp_path / "run", slices=6, seed=3)
    assert drawn == ["train", "train"]
    with pytest.raises(BadInput, match="holds other slices"):
        falx.demo(out=tmp_path / "run", slices=6, seed=4)


@pytest.mark.parametrize("out", [".", "/", ".."])
def test_a_folder_needs_a_name(out) -> None:
    with pytest.raises(BadInput, match="no name for a new folder"):
        falx.demo(out=out)
