"""Features are computed once, kept within the bound, and computed anew beyond it."""

import logging

import numpy as np
import pytest

from falx.recipe import Augmentation
from falx.training.bank import FeatureBank
from falx.training.shelf import GIGABYTE, Shelf
from falx.training.views import Views

N = 24


class CountingTrunk:
    """Means of the rows of a view; counts the views that it was run on."""

    shape = (32,)
    digest = "means"

    def __init__(self):
        self.seen = 0

    def run(self, batches):
        for batch in batches:
            self.seen += len(batch)
            yield batch.mean(axis=2).astype(np.float16)


@pytest.fixture
def views():
    plain = np.random.default_rng(0).integers(0, 255, (N, 32, 32), np.uint8)
    ranges = Augmentation(rotation=20)
    return Views(plain, np.arange(N, dtype=np.uint64), ranges, "noise")


def expected(views, number, rows):
    return views.take(number, rows).mean(axis=2).astype(np.float16)


def test_a_view_goes_through_the_trunk_once_whoever_asks(views, tmp_path):
    trunk, shelf, rows = CountingTrunk(), Shelf(tmp_path, 1), np.arange(N)
    bank = FeatureBank(views, trunk, shelf, 4)
    bank.prepare({0: rows[:10], 1: rows[:10]})
    bank.prepare({1: rows[5:]})
    assert trunk.seen == 20 + N - 10
    np.testing.assert_array_equal(bank.take(1, rows[::-1]), expected(views, 1, rows[::-1]))
    later = FeatureBank(views, trunk, Shelf(tmp_path, 1), 4)
    later.prepare({0: rows[:10], 1: rows})
    np.testing.assert_array_equal(later.take(1, rows), expected(views, 1, rows))
    assert trunk.seen == 20 + N - 10


def test_other_views_or_another_trunk_have_a_bank_of_their_own(views, tmp_path):
    trunk, shelf, rows = CountingTrunk(), Shelf(tmp_path, 1), np.arange(N)
    FeatureBank(views, trunk, shelf, 4).prepare({1: rows})
    other = Views(views.plain[::-1], views.contents, views.ranges, "noise, upside down")
    bank = FeatureBank(other, trunk, shelf, 4)
    bank.prepare({1: rows})
    np.testing.assert_array_equal(bank.take(1, rows), expected(other, 1, rows))


def test_what_has_no_room_is_computed_when_it_is_needed_and_said(views, tmp_path, caplog):
    trunk, rows = CountingTrunk(), np.arange(N)
    row_bytes = 2 * 32
    bank = FeatureBank(views, trunk, Shelf(tmp_path, 2.5 * N * row_bytes / GIGABYTE), 4)
    with caplog.at_level(logging.WARNING, "falx"):
        bank.prepare(dict.fromkeys(range(4), rows))
    assert "no room for" in caplog.text
    assert "raise --bank-gb to at least 0.1 to keep them" in caplog.text
    assert trunk.seen < 4 * N
    for number in range(4):
        np.testing.assert_array_equal(bank.take(number, rows), expected(views, number, rows))


def test_the_size_is_told_before_the_bank_is_made(views, tmp_path, caplog):
    heard = []
    with caplog.at_level(logging.INFO, "falx"):
        FeatureBank(views, CountingTrunk(), Shelf(tmp_path, 1), 4).prepare(
            {1: np.arange(N)}, heard.append
        )
    assert "GB to compute" in caplog.records[0].getMessage()
    assert [step.done for step in heard] == [1, 2]
    assert heard[0].remark.endswith("GB")
