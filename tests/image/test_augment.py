"""Views: random draws in their range, then a map that can be replayed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.image.augment import Warp, apply, draw, matrix
from falx.recipe import Augmentation, load_recipe

SIZE = 65
CENTER = (SIZE - 1) / 2


def moved(warp, x, y):
    return matrix(warp, SIZE) @ [x, y, 1]


def test_no_warp_changes_nothing():
    view = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), np.uint8)
    np.testing.assert_array_equal(apply(Warp(), view), view)


def test_a_flip_mirrors_left_and_right_exactly():
    view = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), np.uint8)
    np.testing.assert_array_equal(apply(Warp(flip=True), view), view[:, ::-1])


def test_a_quarter_turn_is_counterclockwise_as_seen():
    view = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), np.uint8)
    np.testing.assert_array_equal(apply(Warp(rotation=90), view), np.rot90(view))


@pytest.mark.parametrize(
    ("warp", "point", "target"),
    [
        (Warp(shift_x=0.1, shift_y=-0.2), (10, 20), (10 + 6.5, 20 - 13)),
        (Warp(zoom_x=2.0), (CENTER + 5, CENTER + 5), (CENTER + 10, CENTER + 5)),
        (Warp(zoom_y=0.5), (CENTER + 4, CENTER + 4), (CENTER + 4, CENTER + 2)),
        (Warp(shear=30), (CENTER, CENTER + 10), (CENTER - 5, CENTER + 10 * np.cos(np.pi / 6))),
        (Warp(flip=True, rotation=180), (CENTER + 3, CENTER + 4), (CENTER + 3, CENTER - 4)),
    ],
)
def test_a_warp_moves_a_point_to_where_geometry_says(warp, point, target):
    np.testing.assert_allclose(moved(warp, *point), target, atol=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_every_draw_lies_in_its_range(seed):
    ranges = load_recipe("paper").augmentation
    warp = draw(np.random.default_rng(seed), ranges)
    assert abs(warp.rotation) <= ranges.rotation
    assert abs(warp.shift_x) <= ranges.shift_x
    assert abs(warp.shift_y) <= ranges.shift_y
    assert abs(warp.shear) <= ranges.shear
    assert abs(warp.zoom_x - 1) <= ranges.zoom
    assert abs(warp.zoom_y - 1) <= ranges.zoom


@given(st.integers(0, 2**32 - 1))
def test_the_center_stays_unless_shifted(seed):
    ranges = Augmentation(rotation=180, shear=30, zoom=0.5, flip=True)
    warp = draw(np.random.default_rng(seed), ranges)
    np.testing.assert_allclose(moved(warp, CENTER, CENTER), (CENTER, CENTER), atol=1e-9)


def test_the_same_seed_draws_the_same_warp_and_another_seed_another():
    ranges = load_recipe("paper").augmentation
    first, again, other = (draw(np.random.default_rng(seed), ranges) for seed in (1, 1, 2))
    assert first == again != other


def test_half_of_the_draws_flip():
    generator = np.random.default_rng(0)
    flips = sum(draw(generator, Augmentation(flip=True)).flip for _ in range(1000))
    assert 450 < flips < 550
    assert not any(draw(generator, Augmentation()).flip for _ in range(100))
