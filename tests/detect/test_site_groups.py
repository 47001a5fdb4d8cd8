"""Slices of a patient, a study or a file count as one group."""

from pathlib import Path

import pytest

from falx.detect.finding import Finding
from falx.detect.site_groups import groups_of


def groups(*slices):
    findings = [
        Finding(Path("/data") / path, 0, "answer", 1.0, study=study) for path, study in slices
    ]
    return groups_of(findings).tolist()


def partition(found):
    return [found.index(each) for each in found]


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ([("no/a.png", ""), ("no/b.png", ""), ("yes/c.png", "")], [0, 1, 2]),
        ([("a.nii", "a.nii"), ("a.nii", "a.nii"), ("b.nii", "b.nii")], [0, 0, 2]),
        ([("P1/pre.nii", "x"), ("P1/post.nii", "y"), ("P2/pre.nii", "z")], [0, 0, 2]),
        ([("sub-a/ses/a.nii", "x"), ("sub-b/ses/a.nii", "y")], [0, 1]),
        ([("x/a.dcm", "1.1"), ("x/b.dcm", "1.1"), ("x/c.dcm", "1.2")], [0, 0, 2]),
        ([("a.png", "")], [0]),
    ],
    ids=["files", "volumes", "folders of patients", "BIDS", "studies", "one"],
)
def test_a_group_is_a_patients_folder_else_a_study_else_a_file(slices, expected):
    assert partition(groups(*slices)) == expected
