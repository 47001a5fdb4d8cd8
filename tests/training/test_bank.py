"""Features are computed once and cached up to the limit; beyond it they are recomputed."""

import logging

import numpy as np
import pytest

from falx.recipe import Augmentation
from falx.training.bank import FeatureBank
from falx.training.disk_cache import GIGABYTE, DiskCache
from falx.training.views import Views

N = 40


class CountingTrunk:
    """Means of the rows of a view; counts the views that it processed."""

    shape = (32,)
    digest = "means"

    def __init__(self):
        self.processed = 0

    def run(self, batches):
        for batch in batches:
            self.processed += len(batch)
            yield batch.mean(axis=2).astype(np.float16)


@pytest.fixture
def views():
    plain = np.random.default_rng(0).integers(0, 255, (N, 32, 32), np.uint8)
    return Views(plain, np.arange(N, dtype=np.uint64), Augmentation(rotation=20), "noise")


def expected(views, view, rows):
    return views.take(view, rows).mean(axis=2).astype(np.float16)


def test_a_view_is_processed_once_and_shared_by_later_banks(views, tmp_path):
    trunk, cache, rows = CountingTrunk(), DiskCache(tmp_path, 1), np.arange(N)
    bank = FeatureBank(views, trunk, cache, 4)
    bank.prepare({0: rows[:10], 1: rows[:10]})
    bank.prepare({1: rows[5:]})
    assert trunk.processed == 20 + N - 10
    np.testing.assert_array_equal(bank.take(1, rows[::-1]), expected(views, 1, rows[::-1]))
    later = FeatureBank(views, trunk, DiskCache(tmp_path, 1), 4)
    later.prepare({0: rows[:10], 1: rows})
    np.testing.assert_array_equal(later.take(1, rows), expected(views, 1, rows))
    assert trunk.processed == 20 + N - 10


def test_other_views_have_a_bank_of_their_own(views, tmp_path):
    trunk, cache, rows = CountingTrunk(), DiskCache(tmp_path, 1), np.arange(N)
    FeatureBank(views, trunk, cache, 4).prepare({1: rows})
    other = Views(views.plain[::-1], views.content_ids, views.augmentation, "noise, upside down")
    bank = FeatureBank(other, trunk, cache, 4)
    bank.prepare({1: rows})
    np.testing.assert_array_equal(bank.take(1, rows), expected(other, 1, rows))


def test_features_without_room_are_recomputed_after_a_warning(views, tmp_path, caplog):
    trunk, rows = CountingTrunk(), np.arange(N)
    row_bytes = 2 * 32
    bank = FeatureBank(views, trunk, DiskCache(tmp_path, 2.5 * N * row_bytes / GIGABYTE), 4)
    with caplog.at_level(logging.WARNING, "falx"):
        bank.prepare(dict.fromkeys(range(4), rows))
    assert "no room for" in caplog.text
    assert "raise --cache-gb to at least 0.1 to cache them" in caplog.text
    assert trunk.processed < 4 * N
    for view in range(4):
        np.testing.assert_array_equal(bank.take(view, rows), expected(views, view, rows))


def test_the_size_is_logged_before_the_bank_is_computed(views, tmp_path, caplog):
    steps = []
    with caplog.at_level(logging.INFO, "falx"):
        FeatureBank(views, CountingTrunk(), DiskCache(tmp_path, 1), 4).prepare(
            {1: np.arange(N)}, steps.append
        )
    assert "GB to compute" in caplog.records[0].getMessage()
    assert [step.done for step in steps] == [1, 2]
    assert steps[0].detail.endswith("GB")
