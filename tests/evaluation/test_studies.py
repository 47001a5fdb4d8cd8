"""Slices of one study, patient or volume get one answer, by a rule that validation chooses."""

import numpy as np
import pandas as pd
import pytest

from falx.evaluation.studies import SHARES, choose_share, find_studies, score_studies


def table(**columns):
    n = len(next(iter(columns.values())))
    blank = {"path": [f"{i}.png" for i in range(n)], "patient": [""] * n, "study": [""] * n}
    return pd.DataFrame(blank | columns)


def members(found):
    return [rows.tolist() for rows in found.rows]


def test_a_study_comes_before_a_patient_and_a_patient_before_a_file():
    found = find_studies(
        table(
            study=["s", "s", "", "", "", ""],
            patient=["p", "q", "p", "p", "", ""],
            path=["a", "b", "c", "d", "e", "e"],
        ),
        np.zeros(6, int),
    )
    assert members(found) == [[0, 1], [2, 3], [4, 5]]


def test_single_slices_make_no_study():
    assert members(find_studies(table(patient=["p", "q", ""]), np.zeros(3, int))) == []


def test_a_study_with_a_tumor_in_one_slice_has_a_tumor():
    found = find_studies(table(patient=["p", "p", "p", "q", "q"]), np.array([0, 1, 0, 0, 0]))
    assert found.labels.tolist() == [1, 0]


def test_with_few_studies_the_default_stays():
    found = find_studies(table(patient=["p", "p"]), np.array([1, 1]))
    assert choose_share(found, np.full((2, 2), 0.5)) == SHARES[0] == 0.1


def test_validation_chooses_the_rule_that_tells_studies_apart():
    """One slice in ten is falsely sure, so the mean of all is the better answer."""
    patients = np.repeat([f"p{i}" for i in range(20)], 10)
    labels = np.repeat(np.arange(20) % 2, 10)
    p = np.where(labels == 1, 0.9, 0.1)
    p[::10] = 0.999
    found = find_studies(table(patient=patients), labels)
    assert choose_share(found, np.column_stack([1 - p, p])) == 1.0


def test_studies_are_scored_like_slices():
    patients = np.repeat(["a", "b", "c", "d"], 3)
    labels = np.repeat([0, 1, 0, 1], 3)
    p = np.repeat([0.1, 0.8, 0.7, 0.9], 3)
    found = score_studies(
        find_studies(table(patient=patients), labels),
        np.column_stack([1 - p, p]),
        np.repeat(np.arange(4), 3),
        share=0.1,
        threshold=0.5,
        classes=("no", "yes"),
    )
    assert (found["n"], found["share"]) == (4, 0.1)
    assert found["accuracy"]["value"] == pytest.approx(0.75)
    assert found["confusion"] == [[1, 1], [0, 2]]


def test_without_studies_there_is_nothing_to_score():
    found = find_studies(table(patient=[""]), np.zeros(1, int))
    scored = score_studies(
        found, np.ones((1, 2)) / 2, np.zeros(1, int), share=0.1, threshold=0.5, classes=("a", "b")
    )
    assert scored is None
