"""Lesions painted into real slices: visible, local, and outlined."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from falx.phantoms import implant, make_phantom

SEEDS = range(12)


@pytest.fixture(scope="module")
def view() -> np.ndarray:
    """A healthy head that fills its view."""
    return make_phantom(1, tumor=False, size=256).pixels


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tumor_is_visible_where_its_mask_is_and_the_rest_stays(view, seed) -> None:
    changed, mask = implant(view, default_rng(seed), tumor=True)
    difference = np.abs(changed.astype(float) - view)
    assert changed.dtype == np.uint8
    assert mask.any()
    assert difference[mask].mean() > 10
    assert (difference == 0).mean() > 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_no_tumor_has_no_mask(view, seed) -> None:
    changed, mask = implant(view, default_rng(seed), tumor=False)
    assert not mask.any()
    assert (changed != view).any()


def test_a_seed_gives_one_implant(view) -> None:
    first, second = (implant(view, default_rng(3), tumor=True)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_view_without_a_head_stays_as_it_is() -> None:
    blank = np.zeros((96, 96), np.uint8)
    changed, mask = implant(blank, default_rng(0), tumor=True)
    np.testing.assert_array_equal(changed, blank)
    assert not mask.any()
