"""What of a dataset was used, by which labels, and what was left out."""

from types import SimpleNamespace

import pandas as pd
import pytest

from falx.reporting.words.dataset import dataset_words


def run_of(table, **options):
    rows = pd.DataFrame(table)
    return SimpleNamespace(
        catalog=SimpleNamespace(table=rows), record=SimpleNamespace(options=options)
    )


@pytest.fixture
def slices():
    """Three slices of files of their own."""
    return {
        "problem": ["", "", ""],
        "volume": ["", "", ""],
        "patient": ["", "", ""],
        "plane": ["", "", ""],
        "tumor_area": [float("nan")] * 3,
        "weak_label": [False] * 3,
    }


def test_single_slices_of_which_all_are_used_need_no_words(slices):
    assert dataset_words(run_of(slices)) == []


def test_volumes_patients_and_planes_are_counted(slices):
    slices |= {"volume": ["a", "a", "b"], "patient": ["p", "p", "p"], "plane": ["axial"] * 3}
    assert dataset_words(run_of(slices)) == ["3 slices of 2 volumes of 1 patient (3 axial)."]


def test_masks_and_the_rule_that_labels_followed_are_stated(slices):
    slices["tumor_area"] = [0.0, 31.0, float("nan")]
    (words,) = dataset_words(run_of(slices, tumor_area=30.0, tumor_margin=5.0))
    assert words == ("Masks label 2 slices: 1 show at least 30 mm² of tumor, 1 none within 5 mm.")


def test_labels_of_whole_volumes_are_named_as_such(slices):
    slices["weak_label"] = [True, True, False]
    (words,) = dataset_words(run_of(slices))
    assert words.startswith("2 slices have the label of their whole volume")


def test_what_is_left_out_is_counted_by_reason(slices):
    slices["problem"] = ["", "a localizer", "a localizer"]
    assert dataset_words(run_of(slices)) == ["Left out: 2 of 3: 2 (a localizer)."]
