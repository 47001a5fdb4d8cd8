"""Localization of heat maps: exact on maps and masks made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from falx.detect.heat_map import HeatMap
from falx.errors import BadInput
from falx.evaluation.localization import score_localization
from falx.image.render import Region
from falx.statistics import proportion_interval

SHAPE = (70, 70)
WHOLE = Region(0, 0, 70, 70)


def heat(row: int, column: int, region: Region = WHOLE) -> HeatMap:
    """Evidence at one of seven by seven locations."""
    values = np.full((7, 7), -0.1, np.float32)
    values[row, column] = 1
    return HeatMap(values, region, SHAPE)


def tumor(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


CORNER = tumor(slice(0, 10), slice(0, 10))
"""One location of forty-nine."""


def test_the_pointing_game_is_the_fraction_of_slices_whose_peak_lies_on_the_tumor() -> None:
    scores = score_localization(
        [heat(0, 0), heat(0, 0), heat(3, 3), heat(0, 1)], [CORNER] * 4, range(4)
    )
    assert scores.n == 4
    assert scores.pointing_game.value == 0.5
    assert scores.pointing_game_chance == pytest.approx(1 / 49)


def test_a_peak_in_the_core_that_a_rim_surrounds_lies_in_its_hull() -> None:
    rim = tumor(slice(20, 50), slice(20, 50))
    rim[22:48, 22:48] = False
    rim[20:22, 30:31] = False  # a gap, as thin rims have
    inside, outside = heat(3, 3), heat(6, 6)
    scores = score_localization([inside, outside], [rim, rim], [0, 1])
    assert scores.pointing_game.value == 0
    assert scores.within_hull.value == 0.5
    assert scores.within_hull_chance == pytest.approx(900 / 4900)


def test_the_hull_of_two_tumors_does_not_join_them() -> None:
    two = CORNER | tumor(slice(60, 70), slice(60, 70))
    scores = score_localization([heat(3, 3)], [two], [0])
    assert scores.within_hull.value == 0
    assert scores.within_hull_chance == pytest.approx(2 / 49)


def test_peak_distance_is_from_the_peak_to_the_tumor_in_sides_of_the_view() -> None:
    (one,) = [heat(3, 3)]
    row, column = one.peak or (0, 0)
    scores = score_localization([one], [tumor(slice(row, row + 1), slice(column + 7, 70))], [0])
    assert scores.peak_distance.value == pytest.approx(0.1)
    on_it = score_localization([heat(0, 0)], [CORNER], [0])
    assert on_it.peak_distance.value == 0
    assert 0.3 < on_it.peak_distance_chance < 0.7


def test_energy_inside_is_the_fraction_of_the_evidence_that_lies_in_the_tumor() -> None:
    (one,) = [heat(3, 3)]
    evidence = one.on_slice()
    mask = tumor(slice(30, 40), slice(0, 70))
    scores = score_localization([one], [mask], [0])
    assert scores.energy_inside.value == pytest.approx(evidence[30:40].sum() / evidence.sum())
    assert scores.energy_inside_chance == pytest.approx(1 / 7)
    everywhere = score_localization([one], [np.ones(SHAPE, bool)], [0])
    assert everywhere.energy_inside.value == pytest.approx(1)


def test_a_map_without_evidence_has_no_peak_and_counts_as_chance() -> None:
    none = HeatMap(np.full((7, 7), -1, np.float32), WHOLE, SHAPE)
    scores = score_localization([none], [np.ones(SHAPE, bool)], [0])
    assert (scores.pointing_game.value, scores.energy_inside.value) == (0, 0)
    corner = score_localization([none], [CORNER], [0])
    assert corner.peak_distance.value == pytest.approx(corner.peak_distance_chance)


def test_chance_is_over_the_pixels_that_the_network_sees() -> None:
    left = Region(0, 0, 70, 35)
    scores = score_localization([heat(0, 0, left)], [CORNER], [0])
    assert scores.energy_inside_chance == pytest.approx(100 / (70 * 35))
    assert scores.pointing_game_chance == scores.energy_inside_chance


def test_intervals_are_over_groups() -> None:
    maps = [heat(0, 0)] * 20 + [heat(6, 6)] * 20
    masks = [CORNER] * 40
    apart = score_localization(maps, masks, range(40)).pointing_game
    together = score_localization(maps, masks, np.arange(40) // 4).pointing_game
    assert 0.3 < apart.low < 0.5 < apart.high < 0.7
    assert together.low < apart.low - 0.1
    assert together.high > apart.high + 0.1


def test_two_patients_have_no_interval() -> None:
    maps = [heat(0, 0)] * 20 + [heat(6, 6)] * 20
    scores = score_localization(maps, [CORNER] * 40, [0] * 20 + [1] * 20)
    assert str(scores.pointing_game) == "0.500"


def test_where_all_slices_agree_the_interval_is_that_of_a_proportion_of_groups() -> None:
    scores = score_localization([heat(0, 0)] * 12, [CORNER] * 12, range(12))
    exact = proportion_interval(1.0, 12)
    assert scores.pointing_game == exact
    assert 0.7 < exact.low < 0.75
    assert np.isnan(scores.energy_inside.low)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(BadInput, match="No slice has both a tumor and a mask"):
        score_localization([], [], [])
    with pytest.raises(BadInput, match=r"A mask of \(9, 9\) does not fit a slice of \(70, 70\)"):
        score_localization([heat(0, 0)], [np.ones((9, 9), bool)], [0])
    with pytest.raises(BadInput, match="is empty"):
        score_localization([heat(0, 0)], [np.zeros(SHAPE, bool)], [0])
