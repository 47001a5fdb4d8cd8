"""Deletion and insertion: exact on networks made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from falx.errors import BadInput
from falx.evaluation.deletion import (
    CELL,
    STEPS,
    area,
    blend_steps,
    nearest_views,
    order_of,
    score_deletion,
)
from falx.serialization import to_json

SIZE = 64
RNG = np.random.default_rng(0)


def bright(row: int, column: int) -> np.ndarray:
    """A view that is bright at one of eight by eight locations."""
    view = np.zeros((SIZE, SIZE), np.uint8)
    view[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 200
    return view


def by_brightness(views: np.ndarray) -> np.ndarray:
    """A network whose prediction depends on the brightest pixel alone."""
    p = views.max(axis=(1, 2)) / 200
    return np.stack([1 - p, p], axis=1)


def heat(row: int, column: int) -> np.ndarray:
    """The map that shows just that: eight by eight locations."""
    values = np.zeros((8, 8))
    values[row, column] = 1
    return values


PLACES = [(1, 1), (1, 6), (6, 1), (6, 6), (3, 4), (4, 3), (1, 3), (3, 1), (6, 4), (4, 6)]
VIEWS = np.stack([bright(*place) for place in PLACES])
DARK = np.zeros_like(VIEWS)
MAPS = [heat(*place) for place in PLACES]


def scores(maps: list[np.ndarray], seed: int = 0):
    return score_deletion(VIEWS, DARK, maps, by_brightness, [1] * 10, range(10), seed=seed)


def test_a_faithful_map_deletes_the_prediction_with_the_first_step_and_inserts_it_with_the_first():
    found = scores(MAPS)
    deleted, inserted = (curves.by_map.points for curves in (found.deletion, found.insertion))
    # Cells are blended, so the rim of the bright location changes with its neighbors.
    assert [point.value for point in deleted] == pytest.approx([1, *[0] * STEPS], abs=0.2)
    assert [point.value for point in inserted] == pytest.approx([0, *[1] * STEPS], abs=0.2)
    assert found.deletion.by_map.area.value == pytest.approx(1 / (2 * STEPS), abs=0.03)


def test_a_faithful_map_beats_random_order_and_the_maps_of_other_slices():
    found = scores(MAPS)
    for curves in (found.deletion, found.insertion):
        assert curves.gain_over_random.low > 0
        assert curves.gain_over_other.low > 0
        for gain, other in (
            (curves.gain_over_random, curves.by_random),
            (curves.gain_over_other, curves.by_other),
        ):
            difference = abs(curves.by_map.area.value - other.area.value)
            assert gain.value == pytest.approx(difference)


def test_an_inverted_map_is_worse_than_random_order():
    found = scores([-one for one in MAPS])
    assert found.deletion.gain_over_random.high < 0
    assert found.insertion.gain_over_random.high < 0


def test_where_all_maps_are_the_same_none_beats_another():
    found = scores([heat(3, 3)] * 10)
    assert found.deletion.gain_over_other.value == pytest.approx(0, abs=0.05)


def test_one_seed_gives_one_result():
    assert scores(MAPS, seed=3) == scores(MAPS, seed=3)
    assert to_json(scores(MAPS, seed=3)) == to_json(scores(MAPS, seed=3))


def test_every_step_changes_equal_numbers_of_pixels_whatever_the_resolution_of_the_map():
    for places in (2, 7, 8):
        order = order_of(RNG.random((places, places)), SIZE, np.random.default_rng(0))
        assert sorted(order.ravel()) == list(range((SIZE // CELL) ** 2))
        steps = blend_steps(
            np.zeros((SIZE, SIZE), np.uint8), np.full((SIZE, SIZE), 200, np.uint8), order
        )
        fractions = steps.mean(axis=(1, 2)) / 200
        np.testing.assert_allclose(fractions, np.linspace(0, 1, STEPS + 1), atol=0.03)


def test_ties_are_broken_at_random():
    orders = [order_of(np.zeros((8, 8)), SIZE, np.random.default_rng(seed)) for seed in range(400)]
    inner = np.mean(orders, axis=0)[2:-2, 2:-2]
    assert np.ptp(inner) < 6


def test_a_view_becomes_exactly_the_other():
    order = order_of(RNG.random((8, 8)), SIZE, np.random.default_rng(0))
    steps = blend_steps(VIEWS[0], VIEWS[1], order)
    np.testing.assert_array_equal(steps[0], VIEWS[0])
    np.testing.assert_array_equal(steps[-1], VIEWS[1])


def test_the_nearest_view_is_found_by_shape_and_brightness():
    pool = np.stack([bright(*place) for place in reversed(PLACES)])
    assert nearest_views(VIEWS, pool).tolist() == list(reversed(range(10)))


def test_area_is_by_the_trapezoidal_rule():
    np.testing.assert_allclose(
        area(np.array([[1.0, 1, 1], [1, 0.5, 0], [0, 0, 1]])), [1, 0.5, 0.25]
    )


def test_a_single_slice_cannot_be_compared():
    with pytest.raises(BadInput, match="they need two slices"):
        score_deletion(VIEWS[:1], DARK[:1], MAPS[:1], by_brightness, [1], [0])
