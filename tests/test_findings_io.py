"""Findings as CSV and as JSON, to the letter."""

import json
from pathlib import Path

from falx.detect.finding import Finding, Findings, StudyFinding, Unreadable
from falx.findings_io import as_csv, as_dict

ONE = Finding(Path("a, b.png"), 0, "yes", 0.75, {"no": 0.25, "yes": 0.75}, "study 1")
TWO = Finding(Path("c.dcm"), 3, "no", 0.125, {"no": 0.875, "yes": 0.125}, "study 1")
STUDY = StudyFinding("study 1", 2, "yes", 0.75, {"no": 0.25, "yes": 0.75}, ONE)
FINDINGS = Findings(("no", "yes"), (ONE, TWO), (STUDY,), (Unreadable(Path("d.txt"), "no image"),))


def test_csv_has_a_row_a_slice_and_a_row_a_file_that_could_not_be_read():
    assert as_csv(FINDINGS) == (
        "path,index,label,probability,p_no,p_yes,study,problem\n"
        '"a, b.png",0,yes,0.750000,0.250000,0.750000,study 1,\n'
        "c.dcm,3,no,0.125000,0.875000,0.125000,study 1,\n"
        "d.txt,,,,,,,no image\n"
    )


def test_json_has_everything():
    content = json.loads(json.dumps(as_dict(FINDINGS)))
    assert content["notice"] == "Decision support for research, not a medical device."
    assert content["classes"] == ["no", "yes"]
    assert content["slices"][1] == {
        "path": "c.dcm",
        "index": 3,
        "label": "no",
        "probability": 0.125,
        "probabilities": {"no": 0.875, "yes": 0.125},
        "study": "study 1",
    }
    assert content["studies"][0]["strongest"] == {"path": "a, b.png", "index": 0}
    assert content["unreadable"] == [{"path": "d.txt", "problem": "no image"}]
