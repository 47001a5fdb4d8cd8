"""Slices of one study, patient or volume get one answer, by a rule that validation chooses."""

import numpy as np
import pandas as pd
import pytest

from falx.detect.rules import Rules
from falx.evaluation.studies import (
    TOP_FRACTIONS,
    choose_top_fraction,
    find_studies,
    pooled,
    score_studies,
)


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


def test_among_several_classes_the_commonest_but_the_first_names_a_study():
    found = find_studies(table(patient=["p"] * 6), np.array([0, 0, 0, 2, 2, 1]))
    assert found.labels.tolist() == [2]


def test_a_study_has_the_mean_of_its_strongest_slices():
    found = find_studies(table(patient=["p", "q", "p", "q"]), np.array([1, 0, 1, 0]))
    p = np.array([0.9, 0.2, 0.5, 0.4])
    probabilities = np.column_stack([1 - p, p])
    np.testing.assert_allclose(pooled(found, probabilities, 0.0)[:, 1], [0.9, 0.4])
    np.testing.assert_allclose(pooled(found, probabilities, 1.0)[:, 1], [0.7, 0.3])


def test_where_a_class_has_no_study_the_default_stays():
    """Of one class alone nothing can be told apart, however many studies there are."""
    found = find_studies(
        table(patient=np.repeat([f"p{i}" for i in range(20)], 2)), np.ones(40, int)
    )
    p = np.linspace(0, 1, 40)
    assert choose_top_fraction(found, np.column_stack([1 - p, p])) == TOP_FRACTIONS[0]


def test_where_one_slice_of_a_study_shows_the_tumor_the_strongest_speaks():
    patients = np.repeat([f"p{i}" for i in range(20)], 10)
    labels = np.repeat(np.arange(20) % 2, 10)
    p = np.full(200, 0.02)
    p[::10] = np.where(labels[::10] == 1, 0.98, 0.02)
    found = find_studies(table(patient=patients), labels)
    assert choose_top_fraction(found, np.column_stack([1 - p, p])) == 0.1


def test_with_few_studies_the_default_stays():
    found = find_studies(table(patient=["p", "p"]), np.array([1, 1]))
    assert choose_top_fraction(found, np.full((2, 2), 0.5)) == TOP_FRACTIONS[0] == 0.1


def test_validation_chooses_the_rule_that_tells_studies_apart():
    """One slice in ten is falsely sure, so the mean of all is the better answer."""
    patients = np.repeat([f"p{i}" for i in range(20)], 10)
    labels = np.repeat(np.arange(20) % 2, 10)
    p = np.where(labels == 1, 0.9, 0.1)
    p[::10] = 0.999
    found = find_studies(table(patient=patients), labels)
    assert choose_top_fraction(found, np.column_stack([1 - p, p])) == 1.0


def test_studies_are_scored_like_slices():
    patients = np.repeat(["a", "b", "c", "d"], 3)
    labels = np.repeat([0, 1, 0, 1], 3)
    p = np.repeat([0.1, 0.8, 0.7, 0.9], 3)
    found = score_studies(
        find_studies(table(patient=patients), labels),
        np.column_stack([1 - p, p]),
        np.repeat(np.arange(4), 3),
        Rules(),
        ("no", "yes"),
        out_of_distribution=np.zeros(12, bool),
    )
    assert (found.scores.n, found.top_fraction, found.n_out_of_distribution) == (4, 0.1, 0)
    assert found.scores.estimates["accuracy"].value == pytest.approx(0.75)
    assert found.scores.confusion.tolist() == [[1, 1], [0, 2]]
    assert (found.as_dict()["n"], found.as_dict()["out_of_distribution"]) == (4, 0)


def test_without_studies_there_is_nothing_to_score():
    found = find_studies(table(patient=[""]), np.zeros(1, int))
    scored = score_studies(
        found, np.ones((1, 2)) / 2, np.zeros(1, int), Rules(), ("a", "b"),
        out_of_distribution=np.zeros(1, bool),
    )  # fmt: skip
    assert scored is None


def test_without_a_negative_class_the_commonest_label_and_the_mean_of_all_count():
    labels = np.array([0] * 9 + [1])
    found = find_studies(table(patient=["p"] * 10), labels, negative=False)
    assert found.labels.tolist() == [0]
    assert choose_top_fraction(found, np.full((10, 3), 1 / 3), negative=False) == 1.0
