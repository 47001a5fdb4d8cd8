"""A pool opens one bank per trunk and closes those that no other training uses."""

import keras
import numpy as np
import pytest

from falx.recipe import Augmentation
from falx.training.bank import FeatureBank, ViewSource
from falx.training.bank_pool import BankPool
from falx.training.disk_cache import DiskCache
from falx.training.views import PLAIN, Views


def make_trunk(weight):
    inputs = keras.Input((8, 8, 1), name="gray_levels")
    trunk = keras.Model(inputs, keras.layers.Conv2D(1, 8, name="features")(inputs), name="trunk")
    trunk.set_weights([np.full((8, 8, 1, 1), weight, np.float32), np.zeros(1, np.float32)])
    return trunk


@pytest.fixture
def pool(tmp_path):
    plain = np.random.default_rng(0).integers(0, 255, (5, 8, 8), np.uint8)
    views = Views(plain, np.arange(5, dtype=np.uint64), Augmentation(), "noise")
    return BankPool(views, DiskCache(tmp_path, 1), precision="fp32", view_count=1)


def test_without_a_trunk_the_source_is_the_views(pool):
    assert isinstance(pool.source(None), ViewSource)
    assert len(pool) == 0


def test_equal_trunks_share_a_bank_and_others_do_not(pool):
    first = pool.source(make_trunk(0.1))
    assert isinstance(first, FeatureBank)
    assert pool.source(make_trunk(0.1)) is first
    other = pool.source(make_trunk(0.2))
    assert other is not first
    assert len(pool) == 2
    rows = np.arange(5)
    assert (first.take(PLAIN, rows) != other.take(PLAIN, rows)).any()


def test_banks_that_are_not_shared_can_be_closed_alone(pool):
    shared = pool.source(make_trunk(0.1), shared=True)
    for weight in (0.2, 0.3):
        pool.source(make_trunk(weight), shared=False)
        assert len(pool) == 2
        pool.close_unshared()
        assert len(pool) == 1
    assert pool.source(make_trunk(0.1)) is shared
    pool.close()
    assert len(pool) == 0
