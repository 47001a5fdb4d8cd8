"""Where slices lie in a volume: its cross-sections alone tell the region, whatever the spacing."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.data.volumes import (
    BRAIN_END_DEPTH,
    SKULL_BASE_DEPTH,
    VERTEX_DEPTH,
    depths,
    place,
)
from falx.image.crop import Box

BOX = Box(10, 20, 90, 80)


def cross_sections(depth, *, neck=0.6, scale=1.0):
    """Areas of a head at depths from the vertex, in units of the distance to its widest level.

    Down to there and a little below it is an ellipsoid, and further down a neck as wide as given,
    relative to the widest level. Above the vertex there is nothing.
    """
    ellipsoid = np.where(depth < 0, 0, 1 - (1 - depth) ** 2)
    return scale * np.where(depth > 1, np.maximum(ellipsoid, neck), np.maximum(ellipsoid, 0))


def placed(positions, areas, **options):
    return place(positions, areas, [BOX] * len(areas), **({"axial": True} | options))


heads = st.fixed_dictionaries(
    {
        "n": st.integers(24, 200),
        "top": st.floats(0.0, 0.15),
        "bottom": st.floats(1.3, 3.0),
        "neck": st.floats(0.3, 0.8),
        "scale": st.floats(0.05, 0.9),
        "spacing": st.sampled_from([1e-3, 0.1, 1.0, 6.5, 1e3]),
        "offset": st.floats(-500, 500),
    }
)


@given(heads)
def test_the_depth_is_that_of_an_ellipsoid_at_any_spacing_and_scale(head):
    depth = np.linspace(head["bottom"], head["top"], head["n"])
    areas = cross_sections(depth, neck=head["neck"], scale=head["scale"])
    found = depths(np.linspace(0, 1, head["n"]), areas)
    assert found is not None
    # Averaging over neighbors blurs the levels by less than two slices.
    step = (head["bottom"] - head["top"]) / (head["n"] - 1)
    np.testing.assert_allclose(found, depth, atol=0.08 + step)


@given(heads)
def test_regions_follow_the_depth(head):
    depth = np.linspace(head["bottom"], head["top"], head["n"])
    areas = cross_sections(depth, neck=head["neck"], scale=head["scale"])
    positions = head["offset"] + head["spacing"] * np.arange(head["n"])
    found = placed(positions, areas)
    step = (head["bottom"] - head["top"]) / (head["n"] - 1)
    for at, region in zip(depth, found.regions, strict=True):
        borders = np.array([VERTEX_DEPTH, SKULL_BASE_DEPTH, BRAIN_END_DEPTH])
        if np.abs(borders - at).min() > 0.1 + step:
            names = ("vertex", "brain", "skull base", "below the brain")
            assert region == names[int((at > borders).sum())]
    shown = np.flatnonzero(areas)
    expected = (np.arange(head["n"]) - shown[0]) / (shown[-1] - shown[0])
    np.testing.assert_allclose(found.levels, expected.clip(0, 1), atol=1e-6)
    assert not found.repeated.any()


@given(heads, st.randoms(use_true_random=False))
def test_the_order_of_slices_does_not_matter(head, random):
    depth = np.linspace(head["bottom"], head["top"], head["n"])
    areas = cross_sections(depth, neck=head["neck"])
    positions = 3.0 * np.arange(head["n"])
    order = list(range(head["n"]))
    random.shuffle(order)
    straight, shuffled = placed(positions, areas), placed(positions[order], areas[order])
    assert np.array_equal(straight.levels[order], shuffled.levels)
    assert [straight.regions[row] for row in order] == list(shuffled.regions)


def test_a_wide_neck_and_jaw_are_not_taken_for_the_widest_level():
    depth = np.linspace(2.5, 0.05, 60)
    areas = cross_sections(depth)
    areas[depth > 1.7] = 1.08
    found = depths(np.linspace(0, 1, 60), areas)
    np.testing.assert_allclose(found, depth, atol=0.1)


def test_a_brain_without_its_head_has_no_slice_below_it():
    depth = np.linspace(1.95, 0.05, 40)
    areas = 1 - (1 - depth) ** 2
    regions = placed(np.arange(40.0), areas).regions
    assert regions[0] == "skull base"
    assert regions[20] == "brain"
    assert regions[-1] == "vertex"
    assert "below the brain" not in regions


@pytest.mark.parametrize("lowest", [0.0, 0.05, 0.2])
def test_a_lowest_slice_that_is_empty_or_cut_makes_no_brain_without_its_head(lowest):
    areas = cross_sections(np.linspace(2.2, 0.05, 60))
    whole = placed(np.arange(60.0), areas).regions
    areas[0] = lowest
    found = placed(np.arange(60.0), areas).regions
    assert found[0] == "below the brain"
    assert [one == other for one, other in zip(found, whole, strict=True)].count(False) <= 2


def test_slices_without_a_head_above_it_are_of_no_brain():
    areas = cross_sections(np.linspace(2.2, -0.3, 60))
    assert set(placed(np.arange(60.0), areas).regions[-7:]) == {"vertex"}


@pytest.mark.parametrize(
    "areas",
    [
        np.linspace(0.5, 0.45, 20),
        np.full(20, 0.4),
        np.zeros(20),
        cross_sections(np.linspace(1.4, 0.05, 7)),
        cross_sections(np.linspace(1.4, 0.6, 20)),
    ],
    ids=["much alike", "all alike", "no head", "few slices", "a slab below the vertex"],
)
def test_where_the_region_can_not_be_told_it_is_empty(areas):
    found = placed(np.arange(float(len(areas))), areas)
    assert set(found.regions) == {""}
    np.testing.assert_allclose(found.levels, np.linspace(0, 1, len(areas)))


def test_slices_that_are_not_axial_have_a_level_and_no_region():
    areas = cross_sections(np.linspace(2, 0.05, 30))
    found = placed(np.arange(30.0), areas, axial=False)
    assert set(found.regions) == {""}
    assert found.levels[0] == 0
    assert found.levels[-1] == 1


def test_of_slices_at_one_position_the_first_by_order_is_kept():
    positions = np.array([0.0, 5, 10, 0, 5, 10, 15])
    areas = np.full(7, 0.4)
    found = placed(positions, areas, order=np.array([9, 2, 9, 1, 8, 8, 1]))
    assert found.repeated.tolist() == [True, False, True, False, True, False, False]
    np.testing.assert_allclose(found.levels, positions / 15)
    assert placed(positions, areas).repeated.tolist() == [False] * 3 + [True] * 3 + [False]


def test_rounding_does_not_part_slices_of_one_position_and_thin_slices_stay_apart():
    # 4.9499 and 4.9501 lie on both sides of a border between tenths of a millimeter.
    positions = np.array([0, 4.9499, 10, 4.9501])
    assert placed(positions, np.full(4, 0.4)).repeated.tolist() == [False, False, False, True]
    thin = np.arange(100) * 0.2
    assert not placed(thin, np.full(100, 0.4)).repeated.any()


@pytest.mark.parametrize("spacing", [1e-3, 1e-6])
def test_slices_with_a_spacing_in_a_wrong_unit_are_not_taken_for_repeated(spacing):
    assert not placed(np.arange(50) * spacing, np.full(50, 0.4)).repeated.any()


def test_time_points_whose_positions_jitter_leave_the_positions_that_there_are():
    positions = np.tile(3.0 * np.arange(30), 200)
    jitter = np.random.default_rng(0).uniform(-0.005, 0.005, len(positions))
    found = placed(positions + jitter, np.full(len(positions), 0.4))
    assert found.repeated.tolist() == [False] * 30 + [True] * 30 * 199


@given(
    n=st.integers(2, 40),
    times=st.integers(1, 20),
    spacing=st.sampled_from([1e-3, 0.2, 1.0, 6.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_position_is_kept_once_however_often_it_was_acquired(n, times, spacing, seed):
    positions = np.tile(spacing * np.arange(n), times)
    jitter = min(0.02, 0.01 * spacing)
    shaken = positions + np.random.default_rng(seed).uniform(-jitter, jitter, n * times)
    repeated = placed(shaken, np.full(n * times, 0.4)).repeated
    assert repeated.tolist() == [False] * n + [True] * n * (times - 1)


def test_levels_are_those_among_the_slices_that_show_the_head():
    areas = np.array([0, 0, 0.2, 0.4, 0.5, 0.4, 0.1, 0])
    np.testing.assert_allclose(
        placed(np.arange(8.0), areas).levels, [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]
    )


def test_repeated_slices_do_not_stretch_the_levels():
    """The second time point shows a head at the top, and the first shows none there."""
    positions = np.tile(np.arange(5.0), 2)
    areas = np.array([0.3, 0.4, 0.4, 0.2, 0, 0.3, 0.4, 0.4, 0.2, 0.1])
    np.testing.assert_allclose(placed(positions, areas).levels, [0, 1 / 3, 2 / 3, 1, 1] * 2)


def test_many_slices_are_placed_in_memory_that_grows_with_their_number():
    """A table of all distances between 30,000 slices would take 7 GB."""
    n = 30_000
    positions = np.linspace(0, 180, n)
    areas = cross_sections(np.linspace(2.2, 0.05, n))
    tracemalloc.start()
    found = placed(positions, areas)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert set(found.regions) == {"below the brain", "skull base", "brain", "vertex"}


def test_slices_that_all_lie_at_one_position_are_one_slice():
    found = placed(np.full(9, 3.5), np.full(9, 0.4))
    assert found.repeated.tolist() == [False] + [True] * 8
    assert found.levels.tolist() == [0] * 9


def test_repeated_slices_have_the_region_of_their_position():
    areas = cross_sections(np.linspace(2.5, 0.05, 40))
    positions = np.arange(40.0)
    once = placed(positions, areas)
    # The second time point shows less, which must not matter.
    twice = placed(np.tile(positions, 2), np.concatenate([areas, areas / 3]))
    assert twice.regions == once.regions * 2
    assert twice.repeated.tolist() == [False] * 40 + [True] * 40


def test_one_box_holds_the_head_in_all_slices():
    boxes = [Box(20, 30, 60, 70), None, Box(15, 35, 65, 60), Box(30, 25, 55, 72)]
    found = place(np.arange(4.0), np.full(4, 0.3), boxes, axial=True)
    assert found.head == Box(15, 25, 65, 72)
    assert place(np.arange(4.0), np.zeros(4), [None] * 4, axial=True).head is None


@pytest.mark.parametrize("n", [8, 30, 200])
def test_a_streak_in_one_slice_does_not_widen_the_box(n):
    boxes = [BOX] * n
    boxes[n // 3] = Box(0, 0, 100, 100)
    assert place(np.arange(float(n)), np.full(n, 0.3), boxes, axial=True).head == BOX
