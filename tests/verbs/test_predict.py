"""`predict`: what `falx predict` writes, by a function."""

import json
import shutil

import pytest

import falx
from falx.errors import BadInput, BrokenRun, UnusableData
from falx.phantoms import make_phantom


@pytest.fixture
def slices(phantoms, tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    for file in sorted((phantoms / "yes").glob("*.png"))[:2]:
        shutil.copy(file, folder)
    return folder


def test_files_hold_the_findings(slices, tmp_path):
    out = tmp_path / "out"
    findings = falx.predict(
        None, slices, csv=out / "a.csv", json=str(out / "a.json"), heat_maps=str(out / "maps")
    )
    assert (out / "a.csv").read_text() == findings.to_csv()
    assert (out / "a.json").read_text() == findings.to_json()
    assert len(list((out / "maps").glob("*.png"))) == len(findings) == 2
    assert json.loads((out / "a.json").read_text())["slices"][0]["heat_map"]["peak"]


def test_a_detector_may_be_a_path_or_loaded_or_that_which_ships(slices):
    from falx.detect.detector import SHIPPED

    shipped = falx.predict(None, slices)
    assert falx.predict(SHIPPED, slices) == falx.predict(str(SHIPPED), str(slices)) == shipped
    assert falx.predict(falx.load(), slices) == shipped


def test_images_are_taken_as_by_the_detector():
    levels = make_phantom(3, tumor=True, size=96).pixels
    assert falx.predict(None, [levels]) == falx.load().predict([levels])


def test_maps_of_arrays_are_drawn(tmp_path):
    levels = make_phantom(3, tumor=True, size=96).pixels
    falx.predict(None, [levels, levels], heat_maps=tmp_path / "maps")
    assert [file.name for file in sorted((tmp_path / "maps").iterdir())] == [
        "0001-image[0].png",
        "0002-image[1].png",
    ]


def test_strict_fails_after_everything_is_written(slices, tmp_path):
    (slices / "broken.png").write_text("no image")
    with pytest.raises(UnusableData, match=r"1 file or part of one was left out.*broken.png"):
        falx.predict(None, slices, strict=True, csv=tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().count(".png") >= 3
    (slices / "broken.png").unlink()
    assert len(falx.predict(None, slices, strict=True)) == 2


def test_what_cannot_be_done_is_one_sentence(slices, tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        falx.predict(None, tmp_path / "nowhere")
    with pytest.raises(BrokenRun, match="neither a run nor a detector"):
        falx.predict(tmp_path, slices)
    with pytest.raises(BadInput, match="is not empty"):
        falx.predict(None, slices, heat_maps=slices)
    with pytest.raises(TypeError, match=r"predict\(\) has no option 'heatmaps'"):
        falx.predict(None, slices, heatmaps=tmp_path)


@pytest.mark.parametrize("option", ["csv", "json"])
def test_a_file_that_can_not_be_written_is_found_before_anything_is_predicted(
    slices, tmp_path, option
):
    steps = []
    with pytest.raises(BadInput, match="is a folder"):
        falx.predict(None, slices, **{option: tmp_path}, listener=steps.append)
    assert steps == []


def test_a_folder_of_heat_maps_with_too_long_a_name_is_one_sentence(slices, tmp_path):
    with pytest.raises(BadInput, match=r"can't be made \(.+\); .*name another folder\.$"):
        falx.predict(None, slices, heat_maps=tmp_path / ("n" * 300))
