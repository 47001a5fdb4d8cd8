"""Rows on disk are whole or missing, and a shelf stays within its bound."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.errors import BadInput
from falx.training.shelf import GIGABYTE, RowStore, Shelf, digest_of


def test_rows_are_read_as_they_were_written(tmp_path):
    store = RowStore(tmp_path, "features", (6, 2, 3), np.float16)
    values = np.arange(12, dtype=np.float16).reshape(2, 2, 3)
    store.write(np.array([4, 1]), values)
    np.testing.assert_array_equal(store.read(np.array([1, 4])), values[::-1])
    assert store.missing(np.arange(6)).tolist() == [0, 2, 3, 5]


def test_what_is_filled_is_found_again(tmp_path):
    RowStore(tmp_path, "views", (3, 4), np.uint8).write(np.array([2]), np.full((1, 4), 7))
    again = RowStore(tmp_path, "views", (3, 4), np.uint8)
    assert again.missing(np.arange(3)).tolist() == [0, 1]
    assert again.read(np.array([2])).tolist() == [[7, 7, 7, 7]]


def test_a_store_may_be_opened_with_more_rows_and_with_fewer(tmp_path):
    RowStore(tmp_path, "views", (3, 4), np.uint8).write(np.array([2]), np.full((1, 4), 7))
    more = RowStore(tmp_path, "views", (5, 4), np.uint8)
    more.write(np.array([4]), np.full((1, 4), 9))
    fewer = RowStore(tmp_path, "views", (3, 4), np.uint8)
    assert fewer.missing(np.arange(3)).tolist() == [0, 1]
    again = RowStore(tmp_path, "views", (5, 4), np.uint8)
    assert again.read(np.array([2, 4])).tolist() == [[7] * 4, [9] * 4]


def test_a_store_that_is_removed_by_others_still_serves(tmp_path):
    store = RowStore(tmp_path / "..", "gone", (2, 4), np.uint8)
    store.write(np.array([0]), np.full((1, 4), 1))
    for file in (tmp_path / "..").glob("gone.*"):
        file.unlink()
    store.write(np.array([1]), np.full((1, 4), 2))
    assert store.read(np.array([0, 1])).tolist() == [[1] * 4, [2] * 4]


def test_rows_that_were_never_written_are_not_read(tmp_path):
    store = RowStore(tmp_path, "views", (3, 4), np.uint8)
    with pytest.raises(ValueError, match="never written"):
        store.read(np.array([0]))


def test_rows_filled_by_another_process_are_found_when_opened(tmp_path):
    one = RowStore(tmp_path, "views", (3, 4), np.uint8)
    other = RowStore(tmp_path, "views", (3, 4), np.uint8)
    one.write(np.array([0]), np.full((1, 4), 1))
    other.write(np.array([1]), np.full((1, 4), 2))
    both = RowStore(tmp_path, "views", (3, 4), np.uint8)
    assert both.whole()[:2].tolist() == [[1] * 4, [2] * 4]
    assert both.missing(np.arange(3)).tolist() == [2]


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(0, 9), unique=True))
def test_filled_and_missing_rows_are_all_rows(tmp_path_factory, first, second):
    store = RowStore(tmp_path_factory.mktemp("rows"), "r", (10, 1), np.uint8)
    for rows in (first, second):
        store.write(np.array(rows, int), np.array(rows, np.uint8).reshape(-1, 1))
    filled = sorted({*first, *second})
    assert store.missing(np.arange(10)).tolist() == [n for n in range(10) if n not in filled]
    assert store.read(np.array(filled, int))[:, 0].tolist() == filled


def filled(folder, name, size, age):
    entry = folder / name
    entry.mkdir(parents=True)
    (entry / "values.rows").write_bytes(b"x" * size)
    os.utime(entry, (1_000_000 - age, 1_000_000 - age))
    return entry


def test_the_entries_unused_for_longest_make_room(tmp_path):
    old, older, new = (filled(tmp_path, n, 400_000, a) for n, a in [("a", 5), ("b", 9), ("c", 1)])
    assert Shelf(tmp_path, 1_500_000 / GIGABYTE).make_room(500_000) >= 500_000
    assert not older.exists()
    assert old.exists()
    assert new.exists()


def test_entries_in_use_are_never_removed(tmp_path):
    entry = filled(tmp_path, "used", 400_000, 9)
    shelf = Shelf(tmp_path, 500_000 / GIGABYTE)
    assert shelf.entry("used") == entry
    assert 0 <= shelf.make_room(10**6) <= 100_000
    assert entry.exists()


def test_a_bound_of_nothing_is_refused(tmp_path):
    with pytest.raises(BadInput, match="--bank-gb must be above 0, got 0"):
        Shelf(tmp_path, 0)


def test_a_digest_tells_arrays_apart_by_values_shape_and_type():
    arrays = [np.zeros(4), np.ones(4), np.zeros((2, 2)), np.zeros(4, np.float32)]
    assert len({digest_of(array) for array in arrays}) == 4
    assert digest_of("a", 1, [2]) == digest_of("a", 1, [2])
    assert digest_of("ab", "c") != digest_of("a", "bc")
