"""Findings as CSV and as JSON, to the letter."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from falx.detect.finding import Finding, Findings, LeftOut, SeriesFinding, StudyFinding
from falx.detect.findings_io import as_csv, as_dict
from falx.detect.heat_map import HeatMap
from falx.detect.site import SiteCheck
from falx.image.render import Region

HEAD = "path,index,status,label,probability,p_no,p_yes,distance,study,series,level,region,problem\n"
PROBABILITIES = {"no": 0.25, "yes": 0.75}
ONE = Finding(
    Path("a, b.png"), 0, "refer", 5.5, label="yes", probability=0.75, probabilities=PROBABILITIES
)
TWO = Finding(
    Path("c.dcm"), 3, "refer", 6.25, "its slices are oblique", "1.1", "1.2", 0.5, "brain", "no",
    0.125, {"no": 0.875, "yes": 0.125},
)  # fmt: skip
PHOTOGRAPH = Finding(Path("e.jpg"), 0, "out_of_distribution", 30.0)
T1 = SeriesFinding(
    "1.2", "T1", "axial", True, True, 20, 11, 2, "refer", "not calibrated", "yes", 0.75,
    PROBABILITIES, TWO,
)  # fmt: skip
BOTTLES = SeriesFinding(
    "1.3", "B0", "", False, False, 6, 6, 6, "out_of_distribution", "6 of 6 slices are unlike"
)
STUDY = StudyFinding("1.1", (BOTTLES, T1), T1, "the best of two")
LEFT_OUT = (LeftOut(Path("d.txt"), "no image"), LeftOut(Path("f.dcm"), "2 field maps", 2))
FINDINGS = Findings(("no", "yes"), (ONE, TWO), (STUDY,), LEFT_OUT)


def as_json(findings):
    """What a reader of the JSON gets; NaN and infinity are not JSON."""
    return json.loads(json.dumps(as_dict(findings), allow_nan=False))


def test_csv_has_one_row_per_slice_and_per_reason_of_a_file_that_was_left_out():
    assert as_csv(FINDINGS) == (
        HEAD + '"a, b.png",0,refer,yes,0.750000,0.250000,0.750000,5.5000,,,,,\n'
        "c.dcm,3,refer,no,0.125000,0.875000,0.125000,6.2500,1.1,1.2,0.500,brain,"
        "its slices are oblique\n"
        "d.txt,,,,,,,,,,,,no image\n"
        "f.dcm,,,,,,,,,,,,2 field maps\n"
    )


def test_an_out_of_distribution_slice_has_no_label_and_no_probabilities():
    findings = Findings(("no", "yes"), (PHOTOGRAPH,))
    assert as_csv(findings).splitlines()[1] == "e.jpg,0,out_of_distribution,,,,,30.0000,,,,,"
    content = as_json(findings)["slices"][0]
    assert (content["status"], content["label"], content["probability"]) == (
        "out_of_distribution",
        None,
        None,
    )
    assert content["probabilities"] == {}


@pytest.mark.parametrize("distance", [float("nan"), float("inf")])
def test_a_distance_that_is_no_number_is_null_and_empty(distance):
    """JSON and CSV have no standard notation for it."""
    findings = Findings(("no", "yes"), (replace(PHOTOGRAPH, distance=distance),))
    assert as_json(findings)["slices"][0]["distance"] is None
    assert as_csv(findings).splitlines()[1] == "e.jpg,0,out_of_distribution,,,,,,,,,,"


def test_json_has_everything():
    content = as_json(FINDINGS)
    assert content["notice"] == "Decision support for research, not a medical device."
    assert content["classes"] == ["no", "yes"]
    assert content["slices"][1] == {
        "path": "c.dcm",
        "index": 3,
        "status": "refer",
        "distance": 6.25,
        "reason": "its slices are oblique",
        "study": "1.1",
        "series": "1.2",
        "level": 0.5,
        "region": "brain",
        "label": "no",
        "probability": 0.125,
        "probabilities": {"no": 0.875, "yes": 0.125},
        "heat_map": {"peak": None, "extent": None, "regions": []},
    }
    assert content["left_out"] == [
        {"path": "d.txt", "problem": "no image", "n": None},
        {"path": "f.dcm", "problem": "2 field maps", "n": 2},
    ]


def test_json_has_the_site_check_if_there_was_one():
    assert as_json(FINDINGS)["site_check"] is None
    site = SiteCheck("not checked", 2, 1, None, (), 0.9, "that takes at least 30 slices")
    content = as_json(replace(FINDINGS, site=site))["site_check"]
    assert (content["outcome"], content["slices"], content["p_value"]) == ("not checked", 2, None)
    assert content["sentence"] == site.sentence


def test_the_level_of_a_single_slice_is_null():
    assert as_json(FINDINGS)["slices"][0]["level"] is None


def test_json_has_a_study_with_all_its_series_and_the_chosen_one():
    (study,) = as_json(FINDINGS)["studies"]
    bottles, t1 = study.pop("series")
    assert study == {
        "study": "1.1",
        "status": "refer",
        "label": "yes",
        "probability": 0.75,
        "chosen": "1.2",
        "reason": "the best of two",
    }
    assert t1 == {
        "series": "1.2",
        "name": "T1",
        "plane": "axial",
        "contrast": True,
        "original": True,
        "n_slices": 20,
        "n_pooled": 11,
        "n_out_of_distribution": 2,
        "status": "refer",
        "reason": "not calibrated",
        "label": "yes",
        "probability": 0.75,
        "probabilities": PROBABILITIES,
        "strongest": {"path": "c.dcm", "index": 3},
    }
    assert (bottles["status"], bottles["label"], bottles["strongest"]) == (
        "out_of_distribution",
        None,
        None,
    )


def test_json_of_a_study_without_a_suitable_series_chooses_none():
    study = StudyFinding("1.1", (BOTTLES,), None, "no suitable series")
    (content,) = as_json(Findings(("no", "yes"), (), (study,)))["studies"]
    assert (content["chosen"], content["status"]) == (None, "out_of_distribution")
    assert (content["label"], content["probability"]) == (None, None)
    assert content["reason"] == "no suitable series"


def test_any_path_and_any_reason_come_back_from_the_csv():
    """Commas, quotes and line breaks are quoted, so a row stays a row."""
    path, problem = 'x, "y"\nz.png', "'x, y' is no image; replace it."
    one = replace(ONE, path=Path(path))
    text = as_csv(Findings(("no", "yes"), (one,), (), (LeftOut(Path(path), problem),)))
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["path"], first["problem"]) == (path, "")
    assert (second["path"], second["problem"], second["label"]) == (path, problem, "")


def test_every_class_has_a_column_in_the_order_of_the_detector():
    probabilities = {"a": 0.2, "b": 0.7, "c": 0.1}
    one = Finding(
        Path("x.png"), 0, "answer", 1.0, label="b", probability=0.7, probabilities=probabilities
    )
    assert as_csv(Findings(("c", "a", "b"), (one,))) == (
        HEAD.replace("p_no,p_yes", "p_c,p_a,p_b")
        + "x.png,0,answer,b,0.700000,0.100000,0.200000,0.700000,1.0000,,,,,\n"
    )


def test_nothing_found_is_a_header_and_empty_lists():
    findings = Findings(("no", "yes"))
    assert as_csv(findings) == HEAD
    content = as_dict(findings)
    assert [content[name] for name in ("slices", "studies", "left_out")] == [[], [], []]


def test_json_says_where_the_evidence_lies_in_pixels_of_the_slice():
    values = np.zeros((7, 7), np.float32)
    values[3, 5] = 1.5
    heat_map = HeatMap(values, Region(0, 0, 70, 140), (70, 140))
    finding = replace(ONE, heat_map=heat_map)
    content = as_dict(Findings(("no", "yes"), (finding,)))["slices"][0]["heat_map"]
    assert content["peak"] == {"row": 34, "column": 109}
    assert content["extent"] == {"top": 28, "left": 96, "bottom": 42, "right": 124}


def test_json_of_a_strongest_slice_with_a_heat_map_holds_no_array():
    heat_map = HeatMap(np.ones((7, 7), np.float32), Region(0, 0, 70, 70), (70, 70))
    strongest = replace(T1, strongest=replace(TWO, heat_map=heat_map))
    study = replace(STUDY, series=(strongest,), chosen=strongest)
    (content,) = as_json(Findings(("no", "yes"), (), (study,)))["studies"]
    assert content["series"][0]["strongest"] == {"path": "c.dcm", "index": 3}
