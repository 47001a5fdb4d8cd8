"""Rows on disk are complete or missing, and a cache stays within its limit."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.errors import BadInput
from falx.training.disk_cache import GIGABYTE, DiskCache, RowStore, digest_of


def test_rows_are_read_as_they_were_written(tmp_path):
    store = RowStore(tmp_path, "features", (6, 2, 3), np.float16)
    values = np.arange(12, dtype=np.float16).reshape(2, 2, 3)
    store.write(np.array([4, 1]), values)
    np.testing.assert_array_equal(store.read(np.array([1, 4])), values[::-1])
    assert store.missing(np.arange(6)).tolist() == [0, 2, 3, 5]


def test_written_rows_persist(tmp_path):
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


def test_a_store_remains_usable_after_its_files_are_removed(tmp_path):
    store = RowStore(tmp_path, "views", (2, 4), np.uint8)
    store.write(np.array([0]), np.full((1, 4), 1))
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    for file in files:
        file.unlink()
    store.write(np.array([1]), np.full((1, 4), 2))
    assert store.read(np.array([0, 1])).tolist() == [[1] * 4, [2] * 4]


@pytest.mark.parametrize("size", [None, 0, 7])
def test_flags_of_lost_rows_are_ignored(tmp_path, size):
    RowStore(tmp_path, "views", (3, 4), np.uint8).write(np.arange(3), np.full((3, 4), 7))
    if size is None:
        (tmp_path / "views.rows").unlink()
    else:
        os.truncate(tmp_path / "views.rows", size)
    again = RowStore(tmp_path, "views", (3, 4), np.uint8)
    assert again.missing(np.arange(3)).tolist() == [0, 1, 2]


def test_rows_that_are_not_written_cannot_be_read(tmp_path):
    store = RowStore(tmp_path, "views", (3, 4), np.uint8)
    with pytest.raises(ValueError, match="must be written before they are read"):
        store.read(np.array([0]))


def test_rows_written_by_another_store_are_found_when_opened(tmp_path):
    one = RowStore(tmp_path, "views", (3, 4), np.uint8)
    other = RowStore(tmp_path, "views", (3, 4), np.uint8)
    one.write(np.array([0]), np.full((1, 4), 1))
    other.write(np.array([1]), np.full((1, 4), 2))
    both = RowStore(tmp_path, "views", (3, 4), np.uint8)
    assert both.array[:2].tolist() == [[1] * 4, [2] * 4]
    assert both.missing(np.arange(3)).tolist() == [2]


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(0, 9), unique=True))
def test_written_and_missing_rows_are_all_rows(tmp_path_factory, first, second):
    store = RowStore(tmp_path_factory.mktemp("rows"), "r", (10, 1), np.uint8)
    for rows in (first, second):
        store.write(np.array(rows, int), np.array(rows, np.uint8).reshape(-1, 1))
    written = sorted({*first, *second})
    assert store.missing(np.arange(10)).tolist() == [n for n in range(10) if n not in written]
    assert store.read(np.array(written, int))[:, 0].tolist() == written


def make_entry(folder, name, size, age):
    entry = folder / name
    entry.mkdir(parents=True)
    (entry / "values.rows").write_bytes(b"x" * size)
    os.utime(entry, (1_000_000 - age, 1_000_000 - age))
    return entry


def test_the_least_recently_used_entries_are_removed_first(tmp_path):
    old, older, new = (
        make_entry(tmp_path, n, 400_000, a) for n, a in [("a", 5), ("b", 9), ("c", 1)]
    )
    assert DiskCache(tmp_path, 1_500_000 / GIGABYTE).make_room(500_000) >= 500_000
    assert not older.exists()
    assert old.exists()
    assert new.exists()


def test_entries_in_use_are_never_removed(tmp_path):
    entry = make_entry(tmp_path, "used", 400_000, 9)
    cache = DiskCache(tmp_path, 500_000 / GIGABYTE)
    assert cache.entry("used") == entry
    assert 0 <= cache.make_room(10**6) <= 100_000
    assert entry.exists()


def test_following_the_advice_makes_room(tmp_path):
    make_entry(tmp_path, "used", 400_000, 9)
    cache = DiskCache(tmp_path, 500_000 / GIGABYTE)
    cache.entry("used")
    assert cache.make_room(3 * 10**8) < 3 * 10**8
    advised = float(cache.advice(3 * 10**8).split()[-1])
    larger = DiskCache(tmp_path, advised)
    larger.entry("used")
    assert larger.make_room(3 * 10**8) >= 3 * 10**8


def test_the_advice_for_a_full_disk_differs_from_that_for_a_tight_limit(tmp_path):
    assert "on the disk of" in DiskCache(tmp_path, 10**6).advice(10**9)


def test_what_a_killed_process_left_is_removed(tmp_path):
    half = tmp_path / ".trash-1" / "entry"
    half.mkdir(parents=True)
    cache = DiskCache(tmp_path, 1)
    cache.make_room(1)
    assert not half.exists()


def test_processes_share_a_cache_that_is_nearly_full(tmp_path):
    # Each writes and reads an entry; not all entries fit at the same time.
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        minima = list(pool.map(write_and_read, [tmp_path] * 3, range(3)))
    assert minima == [[7] * 60] * 3


def write_and_read(folder, number):
    minima = []
    for step in range(60):
        cache = DiskCache(folder, 250_000 / GIGABYTE)
        name = f"entry-{(number + step) % 4}"
        with cache.lock:
            cache.make_room(100_000)
            store = RowStore(cache.entry(name), "r", (10, 10_000), np.uint8)
        missing = store.missing(np.arange(10))
        store.write(missing, np.full((len(missing), 10_000), 7))
        minima.append(int(store.read(np.arange(10)).min()))
    return minima


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_a_limit_that_is_not_positive_and_finite_is_an_error(tmp_path, limit):
    with pytest.raises(BadInput, match="--cache-gb must be above 0 and finite, got"):
        DiskCache(tmp_path, limit)


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="set FALX_CACHE to a folder that can be written"):
        DiskCache(tmp_path / "file" / "banks", 1)


def test_a_digest_depends_on_values_shape_and_type():
    arrays = [np.zeros(4), np.ones(4), np.zeros((2, 2)), np.zeros(4, np.float32)]
    assert len({digest_of(array) for array in arrays}) == 4
    assert digest_of("a", 1, [2]) == digest_of("a", 1, [2])
    assert digest_of("ab", "c") != digest_of("a", "bc")


def test_the_entry_of_a_pinned_file_is_never_removed(tmp_path):
    used, unused = (make_entry(tmp_path / "cache", name, 400_000, 9) for name in ("used", "unused"))
    cache = DiskCache(tmp_path / "cache", 900_000 / GIGABYTE)
    cache.pin(used / "values.rows")
    cache.pin(tmp_path / "elsewhere.h5")
    cache.make_room(800_000)
    assert used.exists()
    assert not unused.exists()
