"""Rows of a catalog are put into their volumes."""

import math

import numpy as np
import pandas as pd
import pytest

from falx.data.placing import place_rows, planes_of, rows_of, volume_keys
from falx.data.volumes import REPEATED


def facts(**columns):
    """Two slices of one axial series, and whatever is changed."""
    n = max((len(values) for values in columns.values()), default=2)
    defaults = {
        "path": [f"{row}.dcm" for row in range(n)],
        "series": ["1.2"] * n,
        "patient": [""] * n,
        "study": [""] * n,
        "plane": ["axial"] * n,
        "position": np.arange(n) * 5.0,
        "instance": np.arange(n),
        "height": [100] * n,
        "width": [80] * n,
        "head": [(10, 10, 90, 70)] * n,
        "extent": [(8, 9, 92, 71)] * n,
        "head_area": [0.4] * n,
        "problem": [""] * n,
    }
    return pd.DataFrame(defaults | columns)


def boxes(table):
    return table[["head_top", "head_left", "head_bottom", "head_right"]].to_numpy().tolist()


def test_slices_of_a_series_share_level_and_box():
    placed = place_rows(
        facts(position=[10.0, 0, 5], extent=[(8, 9, 92, 71), (), (20, 5, 60, 75)],
              head=[(10, 10, 90, 70), (0, 0, 100, 80), (22, 6, 60, 75)])
    )  # fmt: skip
    assert placed["volume"].tolist() == ["1.2"] * 3
    assert placed["level"].tolist() == [1, 0, 0.5]
    assert boxes(placed) == [[8, 5, 92, 75]] * 3
    assert not {"head", "extent"} & set(placed.columns)


def test_a_single_slice_keeps_its_own_box_and_has_no_level():
    placed = place_rows(facts(path=["a.png"], series=[""], position=[math.nan], plane=[""]))
    assert placed["volume"].tolist() == [""]
    assert np.isnan(placed["level"]).all()
    assert placed["region"].tolist() == [""]
    assert boxes(placed) == [[10, 10, 90, 70]]


def test_slices_without_a_series_are_a_volume_if_they_are_of_one_file():
    paths, nothing = ["a.nii", "a.nii", "b.nii", "c.nii"], [""] * 4
    assert volume_keys(facts(path=paths, series=nothing)).tolist() == ["a.nii", "a.nii", "", ""]


def test_the_planes_and_sizes_of_localizers_are_volumes_apart():
    planes = ["axial", "axial", "coronal", "sagittal", "sagittal", "coronal"]
    height = [100, 100, 100, 100, 100, 90]
    placed = place_rows(facts(plane=planes, height=height, position=[0.0, 5, 0, 0, 5, 0]))
    assert placed["volume"].tolist() == [
        "1.2, axial, 100 x 80", "1.2, axial, 100 x 80", "",
        "1.2, sagittal, 100 x 80", "1.2, sagittal, 100 x 80", "",
    ]  # fmt: skip
    assert (placed["problem"] == "").all()


def test_of_time_points_the_first_by_instance_is_kept_whatever_the_order_of_files():
    table = facts(position=[0.0, 5, 0, 5, 0, 5], instance=[1, 2, 3, 4, 5, 6])
    generator = np.random.default_rng(0)
    for _ in range(5):
        shuffled = table.iloc[generator.permutation(6)].reset_index(drop=True)
        placed = place_rows(shuffled)
        assert placed.loc[placed["problem"] == "", "instance"].sort_values().tolist() == [1, 2]
        assert (placed.loc[placed["instance"] > 2, "problem"] == REPEATED).all()


def test_a_slice_that_can_not_be_used_takes_no_position_and_keeps_its_reason():
    table = facts(position=[0.0, 0, 5, 90], problem=["a phase image", "", "", "blank"])
    placed = place_rows(table)
    assert placed["problem"].tolist() == ["a phase image", "", "", "blank"]
    assert placed["volume"].tolist() == ["", "1.2", "1.2", ""]
    assert placed["level"].tolist()[1:3] == [0, 1]


def test_a_file_that_can_not_be_read_has_a_row_too():
    table = facts(path=["a.dcm"], series=[""], position=[math.nan], problem=["empty"], head=[()])
    assert boxes(place_rows(table)) == [[0, 0, 1, 1]]


def test_rows_of_each_key_come_in_order_of_appearance():
    keys = np.array(["b", "", "a", "b", ""], object)
    assert [rows.tolist() for rows in rows_of(keys)] == [[0, 3], [2]]


@pytest.mark.parametrize(
    ("planes", "expected"),
    [
        (["axial"] * 10 + ["sagittal"], ("axial",)),
        (["axial"] * 9 + ["sagittal"], ("axial", "sagittal")),
        ([""] * 20 + ["coronal"], ("coronal",)),
        (["", ""], ()),
    ],
)
def test_a_plane_counts_if_a_tenth_of_the_slices_lie_in_it(planes, expected):
    assert planes_of(pd.DataFrame({"plane": planes})) == expected


def test_a_copy_of_a_series_in_another_folder_is_a_volume_of_its_own():
    # So that a series in both train/ and test/ is found as a leak, and not left out as repeated.
    paths = [f"{part}/{number}.dcm" for part in ("train", "test") for number in range(3)]
    placed = place_rows(facts(path=paths, position=[0.0, 5, 10] * 2))
    assert (placed["problem"] == "").all()
    assert placed["volume"].tolist() == ["1.2 in train"] * 3 + ["1.2 in test"] * 3


def test_a_series_sorted_into_folders_of_classes_stays_one_volume():
    paths = [f"{'yes' if number in (2, 3) else 'no'}/{number}.dcm" for number in range(6)]
    placed = place_rows(facts(path=paths))
    assert placed["volume"].tolist() == ["1.2"] * 6
    np.testing.assert_allclose(placed["level"], np.arange(6) / 5)


def test_series_of_two_patients_with_one_number_are_two_volumes():
    placed = place_rows(facts(patient=["A", "A", "B", "B"], position=[0.0, 5, 0, 5]))
    assert (placed["problem"] == "").all()
    assert placed["volume"].nunique() == 2


def test_a_repeated_slice_does_not_change_the_box():
    extent = [(8, 9, 92, 71), (8, 9, 92, 71), (0, 0, 100, 80)]
    placed = place_rows(facts(position=[0.0, 5, 5], extent=extent))
    assert boxes(placed)[:2] == [[8, 9, 92, 71]] * 2
