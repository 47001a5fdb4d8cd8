"""Rows on disk are whole or missing, and a shelf stays within its bound."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

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


@pytest.mark.parametrize("left", [None, 0, 7])
def test_marks_of_rows_that_are_gone_count_for_nothing(tmp_path, left):
    RowStore(tmp_path, "views", (3, 4), np.uint8).write(np.arange(3), np.full((3, 4), 7))
    if left is None:
        (tmp_path / "views.rows").unlink()
    else:
        os.truncate(tmp_path / "views.rows", left)
    again = RowStore(tmp_path, "views", (3, 4), np.uint8)
    assert again.missing(np.arange(3)).tolist() == [0, 1, 2]


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


def test_what_is_advised_makes_room(tmp_path):
    filled(tmp_path, "used", 400_000, 9)
    shelf = Shelf(tmp_path, 500_000 / GIGABYTE)
    shelf.entry("used")
    assert shelf.make_room(3 * 10**8) < 3 * 10**8
    advised = float(shelf.advice(3 * 10**8).split()[-1])
    larger = Shelf(tmp_path, advised)
    larger.entry("used")
    assert larger.make_room(3 * 10**8) >= 3 * 10**8


def test_a_full_disk_is_told_from_a_tight_bound(tmp_path):
    assert "on the disk of" in Shelf(tmp_path, 10**6).advice(10**9)


def test_an_entry_is_removed_in_one_step_and_what_a_killed_process_left_is_swept(tmp_path):
    half = tmp_path / ".gone-1" / "entry"
    half.mkdir(parents=True)
    shelf = Shelf(tmp_path, 1)
    shelf.make_room(1)
    assert not half.exists()


def test_processes_share_a_shelf_that_is_nearly_full(tmp_path):
    # Each opens an entry, fills it, finds it whole, and lets it go; all don't fit together.
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(fill_and_read, [tmp_path] * 3, range(3)))
    assert found == [[7] * 60] * 3


def fill_and_read(folder, number):
    found = []
    for step in range(60):
        shelf = Shelf(folder, 250_000 / GIGABYTE)
        name = f"entry-{(number + step) % 4}"
        with shelf.lock:
            shelf.make_room(100_000)
            store = RowStore(shelf.entry(name), "r", (10, 10_000), np.uint8)
        missing = store.missing(np.arange(10))
        store.write(missing, np.full((len(missing), 10_000), 7))
        found.append(int(store.read(np.arange(10)).min()))
    return found


@pytest.mark.parametrize("bound", [0, -1, float("inf"), float("nan")])
def test_a_bound_that_is_no_amount_is_refused(tmp_path, bound):
    with pytest.raises(BadInput, match="--bank-gb must be above 0 and finite, got"):
        Shelf(tmp_path, bound)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="set FALX_CACHE to a folder that can be written"):
        Shelf(tmp_path / "file" / "banks", 1)


def test_a_digest_tells_arrays_apart_by_values_shape_and_type():
    arrays = [np.zeros(4), np.ones(4), np.zeros((2, 2)), np.zeros(4, np.float32)]
    assert len({digest_of(array) for array in arrays}) == 4
    assert digest_of("a", 1, [2]) == digest_of("a", 1, [2])
    assert digest_of("ab", "c") != digest_of("a", "bc")


def test_an_entry_that_a_file_lies_in_is_held(tmp_path):
    used, unused = (filled(tmp_path / "shelf", name, 400_000, 9) for name in ("used", "unused"))
    shelf = Shelf(tmp_path / "shelf", 900_000 / GIGABYTE)
    shelf.hold(used / "values.rows")
    shelf.hold(tmp_path / "elsewhere.h5")
    shelf.make_room(800_000)
    assert used.exists()
    assert not unused.exists()
