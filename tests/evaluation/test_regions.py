"""Lesions that the marks of a map find, in slices and in volumes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from falx.evaluation.regions import MappedSlice, score_regions
from falx.image.render import Region

WHOLE = Region(0, 0, 64, 64)


def mapped(marks=(), lesions=(), *, volume="", group=0, spacing=math.nan, region=WHOLE):
    """A slice of 64 x 64 pixels and 8 x 8 cells, with marks and square lesions of 8 pixels."""
    values = np.zeros((8, 8), np.float32)
    outline = np.zeros((64, 64), bool)
    for row, column, probability in marks:
        values[row, column] = probability
    for row, column in lesions:
        outline[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = True
    return MappedSlice(values, region, outline, volume, group, spacing)


def test_a_mark_on_a_lesion_finds_it_and_others_are_false_positives() -> None:
    scores = score_regions([
        mapped([(1, 1, 0.9), (5, 5, 0.2)], [(1, 1)]),
        mapped([(3, 3, 0.6)], [(6, 6)], group=1),
        mapped([(3, 3, 0.3)], group=2),
    ])  # fmt: skip
    assert (scores.slices, scores.lesions, scores.volumes) == (3, 2, 0)
    # One lesion has a mark, at whatever threshold.
    assert scores.sensitivity_in_slices[1].value == 0.5
    assert scores.curve is None


def test_false_positives_with_a_higher_probability_come_first() -> None:
    """At one false positive a slice, three of five in three slices: the weaker lesion is missed."""
    false = [(0, 4, 0.9), (4, 0, 0.8), (7, 7, 0.7), (0, 7, 0.6), (7, 0, 0.5)]
    scores = score_regions([
        mapped([*false, (2, 2, 0.95)], [(2, 2)]),
        mapped([(2, 2, 0.4)], [(2, 2)], group=1),
        mapped(group=2),
    ])  # fmt: skip
    assert scores.sensitivity_in_slices[1].value == 0.5


def test_what_lies_in_adjacent_slices_of_a_volume_is_one() -> None:
    slices = [
        mapped([(2, 2, 0.5), (6, 6, 0.3)], [(2, 2)], volume="a", spacing=2.0),
        mapped([(2, 2, 0.8), (6, 6, 0.4)], [(2, 2)], volume="a", spacing=2.0),
        mapped([(2, 2, 0.6)], volume="a", spacing=2.0),
    ]
    scores = score_regions(slices)
    assert (scores.lesions, scores.volumes, scores.volume_lesions) == (2, 1, 1)
    np.testing.assert_array_equal(scores.curve.sensitivity, [0, 1, 1])
    np.testing.assert_array_equal(scores.curve.false_positives, [0, 0, 1])
    # Of 16 mm.
    assert scores.large_lesions == 1
    assert scores.sensitivity_large[1].value == 1


@pytest.mark.parametrize(("spacing", "large"), [(1.0, 0), (1.25, 1), (math.nan, 0)])
def test_lesions_are_large_by_their_diameter_in_millimeters(spacing, large) -> None:
    scores = score_regions([mapped([(2, 2, 0.5)], [(2, 2)], volume="a", spacing=spacing)])
    assert scores.large_lesions == large


def test_a_mark_touches_what_its_cell_covers_in_the_slice() -> None:
    """The view shows rows -32 to 96, so that a cell covers 16 rows."""
    tall = Region(-32, 0, 96, 64)
    hit = score_regions([mapped([(3, 0, 0.9)], [(2, 0)], region=tall)])
    missed = score_regions([mapped([(2, 0, 0.9)], [(2, 0)], region=tall)])
    assert (hit.sensitivity_in_slices[1].value, missed.sensitivity_in_slices[1].value) == (1, 0)


def test_without_a_lesion_there_is_nothing_to_find() -> None:
    assert score_regions([mapped([(1, 1, 0.5)])]) is None
    assert score_regions([]) is None


def test_volumes_without_lesions_count_for_false_positives() -> None:
    scores = score_regions([
        mapped([(1, 1, 0.5)], [(1, 1)], volume="a"),
        mapped([(1, 1, 0.9), (4, 4, 0.8), (7, 1, 0.7)], volume="b", group=1),
    ])  # fmt: skip
    assert scores.volumes == 2
    # Three false positives in two volumes lie above the lesion.
    assert [scores.sensitivity_in_volumes[rate].value for rate in (1, 2)] == [0, 1]
