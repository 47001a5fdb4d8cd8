"""Findings as CSV and as JSON, to the letter."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from falx.detect.finding import Finding, Findings, StudyFinding, Unreadable
from falx.detect.findings_io import as_csv, as_dict
from falx.detect.heat_map import HeatMap
from falx.image.render import Region

PROBABILITIES = {"no": 0.25, "yes": 0.75}
ONE = Finding(Path("a, b.png"), 0, "refer", 5.5, "study 1", "yes", 0.75, PROBABILITIES)
TWO = Finding(Path("c.dcm"), 3, "answer", 6.25, "study 1", "no", 0.125, {"no": 0.875, "yes": 0.125})
PHOTOGRAPH = Finding(Path("e.jpg"), 0, "out_of_distribution", 30.0)
STUDY = StudyFinding("study 1", 2, 0, "refer", "yes", 0.75, PROBABILITIES, ONE)
FINDINGS = Findings(("no", "yes"), (ONE, TWO), (STUDY,), (Unreadable(Path("d.txt"), "no image"),))


def test_csv_has_one_row_per_slice_and_per_file_that_could_not_be_read():
    assert as_csv(FINDINGS) == (
        "path,index,status,label,probability,p_no,p_yes,distance,study,problem\n"
        '"a, b.png",0,refer,yes,0.750000,0.250000,0.750000,5.5000,study 1,\n'
        "c.dcm,3,answer,no,0.125000,0.875000,0.125000,6.2500,study 1,\n"
        "d.txt,,,,,,,,,no image\n"
    )


def test_an_out_of_distribution_slice_has_no_label_and_no_probabilities():
    findings = Findings(("no", "yes"), (PHOTOGRAPH,))
    assert as_csv(findings).splitlines()[1] == "e.jpg,0,out_of_distribution,,,,,30.0000,,"
    content = as_dict(findings)["slices"][0]
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
    content = json.loads(json.dumps(as_dict(findings), allow_nan=False))
    assert content["slices"][0]["distance"] is None
    assert as_csv(findings).splitlines()[1] == "e.jpg,0,out_of_distribution,,,,,,,"


def test_json_has_everything():
    content = json.loads(json.dumps(as_dict(FINDINGS)))
    assert content["notice"] == "Decision support for research, not a medical device."
    assert content["classes"] == ["no", "yes"]
    assert content["slices"][1] == {
        "path": "c.dcm",
        "index": 3,
        "status": "answer",
        "distance": 6.25,
        "label": "no",
        "probability": 0.125,
        "probabilities": {"no": 0.875, "yes": 0.125},
        "study": "study 1",
        "heat_map": {"peak": None, "extent": None},
    }
    assert content["studies"][0]["strongest"] == {"path": "a, b.png", "index": 0}
    assert content["unreadable"] == [{"path": "d.txt", "problem": "no image"}]


def test_json_has_a_study_with_its_strongest_slice():
    assert as_dict(FINDINGS)["studies"] == [
        {
            "study": "study 1",
            "n_slices": 2,
            "n_out_of_distribution": 0,
            "status": "refer",
            "label": "yes",
            "probability": 0.75,
            "probabilities": {"no": 0.25, "yes": 0.75},
            "strongest": {"path": "a, b.png", "index": 0},
        }
    ]


def test_any_path_and_any_reason_come_back_from_the_csv():
    """Commas, quotes and line breaks are quoted, so a row stays a row."""
    path, problem = 'x, "y"\nz.png', "'x, y' is no image; replace it."
    one = replace(ONE, path=Path(path))
    text = as_csv(Findings(("no", "yes"), (one,), (), (Unreadable(Path(path), problem),)))
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["path"], first["problem"]) == (path, "")
    assert (second["path"], second["problem"], second["label"]) == (path, problem, "")


def test_every_class_has_a_column_in_the_order_of_the_detector():
    probabilities = {"a": 0.2, "b": 0.7, "c": 0.1}
    findings = Findings(
        ("c", "a", "b"), (Finding(Path("x.png"), 0, "answer", 1.0, "", "b", 0.7, probabilities),)
    )
    assert as_csv(findings) == (
        "path,index,status,label,probability,p_c,p_a,p_b,distance,study,problem\n"
        "x.png,0,answer,b,0.700000,0.100000,0.200000,0.700000,1.0000,,\n"
    )


def test_nothing_found_is_a_header_and_empty_lists():
    findings = Findings(("no", "yes"))
    head = "path,index,status,label,probability,p_no,p_yes,distance,study,problem"
    assert as_csv(findings) == f"{head}\n"
    content = as_dict(findings)
    assert [content[name] for name in ("slices", "studies", "unreadable")] == [[], [], []]


def test_json_says_where_the_evidence_lies_in_pixels_of_the_slice():
    values = np.zeros((7, 7), np.float32)
    values[3, 5] = 1.5
    heat_map = HeatMap(values, Region(0, 0, 70, 140), (70, 140))
    finding = replace(ONE, heat_map=heat_map)
    content = as_dict(Findings(("no", "yes"), (finding,)))["slices"][0]["heat_map"]
    assert content["peak"] == {"row": 34, "column": 109}
    assert content["extent"] == {"top": 28, "left": 96, "bottom": 42, "right": 124}
