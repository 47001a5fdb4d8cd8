"""Heat maps against masks: exact on maps and masks that are made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from falx.detect.heat_map import HeatMap
from falx.errors import BadInput
from falx.evaluation.explain import score_maps
from falx.evaluation.intervals import clopper_pearson
from falx.image.render import Region

SHAPE = (70, 70)
WHOLE = Region(0, 0, 70, 70)


def heat(row: int, column: int, region: Region = WHOLE) -> HeatMap:
    """Evidence at one of seven by seven places."""
    values = np.full((7, 7), -0.1, np.float32)
    values[row, column] = 1
    return HeatMap(values, region, SHAPE)


def tumor(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


CORNER = tumor(slice(0, 10), slice(0, 10))
"""One place of forty-nine."""


def test_pointing_is_the_share_of_slices_whose_peak_lies_on_the_tumor() -> None:
    scores = score_maps([heat(0, 0), heat(0, 0), heat(3, 3), heat(0, 1)], [CORNER] * 4, range(4))
    assert scores.n == 4
    assert scores.pointing.value == 0.5
    assert scores.pointing_chance == pytest.approx(1 / 49)


def test_distance_is_from_the_peak_to_the_tumor_in_sides_of_the_view() -> None:
    (one,) = [heat(3, 3)]
    row, column = one.peak or (0, 0)
    scores = score_maps([one], [tumor(slice(row, row + 1), slice(column + 7, 70))], [0])
    assert scores.distance.value == pytest.approx(0.1)
    assert score_maps([heat(0, 0)], [CORNER], [0]).distance.value == 0
    assert 0.3 < score_maps([heat(0, 0)], [CORNER], [0]).distance_chance < 0.7


def test_inside_is_the_share_of_evidence_that_lies_in_the_tumor() -> None:
    (one,) = [heat(3, 3)]
    evidence = one.on_slice()
    mask = tumor(slice(30, 40), slice(0, 70))
    scores = score_maps([one], [mask], [0])
    assert scores.inside.value == pytest.approx(evidence[30:40].sum() / evidence.sum())
    assert scores.inside_chance == pytest.approx(1 / 7)
    assert score_maps([one], [np.ones(SHAPE, bool)], [0]).inside.value == pytest.approx(1)


def test_a_map_without_evidence_points_nowhere() -> None:
    none = HeatMap(np.full((7, 7), -1, np.float32), WHOLE, SHAPE)
    scores = score_maps([none], [np.ones(SHAPE, bool)], [0])
    assert (scores.pointing.value, scores.inside.value) == (0, 0)
    corner = score_maps([none], [CORNER], [0])
    assert corner.distance.value == pytest.approx(corner.distance_chance)


def test_only_what_the_network_sees_counts_for_chance() -> None:
    left = Region(0, 0, 70, 35)
    scores = score_maps([heat(0, 0, left)], [CORNER], [0])
    assert scores.inside_chance == pytest.approx(100 / (70 * 35))
    assert scores.pointing_chance == scores.inside_chance


def test_intervals_are_drawn_over_groups() -> None:
    maps = [heat(0, 0)] * 20 + [heat(6, 6)] * 20
    masks = [CORNER] * 40
    apart = score_maps(maps, masks, range(40)).pointing
    together = score_maps(maps, masks, [0] * 20 + [1] * 20).pointing
    assert 0.3 < apart.low < 0.5 < apart.high < 0.7
    assert (together.low, together.high) == (0, 1)


def test_where_all_agree_the_interval_is_that_of_a_proportion_of_groups() -> None:
    scores = score_maps([heat(0, 0)] * 12, [CORNER] * 12, range(12))
    low, high = clopper_pearson(12, 12)
    assert (scores.pointing.low, scores.pointing.high) == (low, high)
    assert 0.7 < low < 0.75
    assert np.isnan(scores.inside.low)


def test_what_can_not_be_compared_is_told() -> None:
    with pytest.raises(BadInput, match="No slice has both"):
        score_maps([], [], [])
    with pytest.raises(BadInput, match=r"mask of \(9, 9\) is not that"):
        score_maps([heat(0, 0)], [np.ones((9, 9), bool)], [0])
    with pytest.raises(BadInput, match="is empty"):
        score_maps([heat(0, 0)], [np.zeros(SHAPE, bool)], [0])
