"""Deletion and insertion: exact on networks that are made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from falx.errors import BadInput
from falx.evaluation.deletion import (
    CELL,
    STEPS,
    area,
    most_alike,
    order_of,
    score_deletion,
    stages,
)

SIZE = 64
RNG = np.random.default_rng(0)


def bright(row: int, column: int) -> np.ndarray:
    """A view that is bright at one of eight by eight places."""
    view = np.zeros((SIZE, SIZE), np.uint8)
    view[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 200
    return view


def by_brightness(views: np.ndarray) -> np.ndarray:
    """A network whose answer hangs on the brightest pixel alone."""
    p = views.max(axis=(1, 2)) / 200
    return np.stack([1 - p, p], axis=1)


def heat(row: int, column: int) -> np.ndarray:
    """The map that shows just that: eight by eight places."""
    values = np.zeros((8, 8))
    values[row, column] = 1
    return values


PLACES = [(1, 1), (1, 6), (6, 1), (6, 6), (3, 4), (4, 3)]
VIEWS = np.stack([bright(*place) for place in PLACES])
DARK = np.zeros_like(VIEWS)
MAPS = [heat(*place) for place in PLACES]


def scores(maps: list[np.ndarray], seed: int = 0):
    return score_deletion(VIEWS, DARK, maps, by_brightness, [1] * 6, range(6), seed=seed)


def test_a_true_map_takes_the_answer_with_the_first_step_and_brings_it_with_the_first():
    found = scores(MAPS)
    gone, back = (way.by_map.points for way in (found.deletion, found.insertion))
    # Cells pass over into one another, so the rim of the bright place goes with its neighbors.
    assert [point.value for point in gone] == pytest.approx([1, *[0] * STEPS], abs=0.2)
    assert [point.value for point in back] == pytest.approx([0, *[1] * STEPS], abs=0.2)
    assert found.deletion.by_map.area.value == pytest.approx(1 / (2 * STEPS), abs=0.03)


def test_a_true_map_beats_chance_and_the_maps_of_others():
    found = scores(MAPS)
    for way in (found.deletion, found.insertion):
        assert way.over_random.low > 0
        assert way.over_other.low > 0
        for gain, other in ((way.over_random, way.by_random), (way.over_other, way.by_other)):
            apart = abs(way.by_map.area.value - other.area.value)
            assert gain.value == pytest.approx(apart)


def test_a_map_turned_upside_down_loses_to_chance():
    found = scores([-one for one in MAPS])
    assert found.deletion.over_random.high < 0
    assert found.insertion.over_random.high < 0


def test_a_map_that_is_the_same_everywhere_beats_no_other_map():
    found = scores([heat(3, 3)] * 6)
    assert found.deletion.over_other.value == pytest.approx(0, abs=0.05)


def test_one_seed_gives_one_result():
    assert scores(MAPS, seed=3).as_dict() == scores(MAPS, seed=3).as_dict()


def test_every_step_changes_as_many_pixels_whatever_the_map_is_made_of():
    for places in (2, 7, 8):
        order = order_of(RNG.random((places, places)), SIZE, np.random.default_rng(0))
        assert sorted(order.ravel()) == list(range((SIZE // CELL) ** 2))
        passed = stages(
            np.zeros((SIZE, SIZE), np.uint8), np.full((SIZE, SIZE), 200, np.uint8), order
        )
        shares = passed.mean(axis=(1, 2)) / 200
        np.testing.assert_allclose(shares, np.linspace(0, 1, STEPS + 1), atol=0.03)


def test_places_without_difference_go_at_random():
    orders = [order_of(np.zeros((8, 8)), SIZE, np.random.default_rng(seed)) for seed in range(400)]
    inner = np.mean(orders, axis=0)[2:-2, 2:-2]
    assert np.ptp(inner) < 6


def test_a_view_becomes_the_other_and_nothing_else():
    order = order_of(RNG.random((8, 8)), SIZE, np.random.default_rng(0))
    passed = stages(VIEWS[0], VIEWS[1], order)
    np.testing.assert_array_equal(passed[0], VIEWS[0])
    np.testing.assert_array_equal(passed[-1], VIEWS[1])


def test_the_most_alike_is_found_by_its_shape_and_brightness():
    pool = np.stack([bright(*place) for place in reversed(PLACES)])
    assert most_alike(VIEWS, pool).tolist() == [5, 4, 3, 2, 1, 0]


def test_area_is_that_of_the_line():
    np.testing.assert_allclose(
        area(np.array([[1.0, 1, 1], [1, 0.5, 0], [0, 0, 1]])), [1, 0.5, 0.25]
    )


def test_a_single_slice_can_not_be_compared():
    with pytest.raises(BadInput, match="they need two slices"):
        score_deletion(VIEWS[:1], DARK[:1], MAPS[:1], by_brightness, [1], [0])
