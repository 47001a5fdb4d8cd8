"""From any stored orientation, a slice is shown as a radiologist sees it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.data.geometry import Orientation, orientation_of

# One voxel a level: x to the patient's left, y to posterior, z to superior.
VOXELS = np.arange(4 * 5 * 6).reshape(4, 5, 6)
SHOWN = {
    # Columns grow to the left and rows to posterior.
    "axial": lambda at: VOXELS[:, :, at].T,
    # Rows grow to inferior, columns to the left.
    "coronal": lambda at: VOXELS[:, at, ::-1].T,
    # Columns grow to posterior.
    "sagittal": lambda at: VOXELS[at, :, ::-1].T,
}
NORMALS = {"axial": (0, 0, 1), "coronal": (0, -1, 0), "sagittal": (-1, 0, 0)}
PLANE_OF_AXIS = ("sagittal", "coronal", "axial")
FRAMES = [
    (row, column, row_sign, column_sign)
    for row, column in itertools.permutations(range(3), 2)
    for row_sign, column_sign in itertools.product((1, -1), repeat=2)
]
"""Axes along which the column index and the row index grow: 24, right-handed and left-handed."""

axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1)


def stored_slice(row, column, row_sign, column_sign, at=2):
    """The slice at a position across the remaining axis, with indices growing as asked."""
    plane = np.take(VOXELS, at, axis=3 - row - column)
    plane = plane.T if row < column else plane
    return plane[::column_sign, ::row_sign]


def direction(axis, sign):
    return sign * np.eye(3)[axis]


def rotated(vector, axis, degrees):
    """By Rodrigues' formula."""
    unit, angle = np.asarray(axis) / np.linalg.norm(axis), np.deg2rad(degrees)
    across = np.cross(unit, vector)
    along = unit * np.dot(unit, vector)
    return vector * np.cos(angle) + across * np.sin(angle) + along * (1 - np.cos(angle))


@pytest.mark.parametrize("frame", FRAMES)
def test_every_axis_aligned_frame_gives_the_slice_as_shown(frame):
    row, column, row_sign, column_sign = frame
    found = orientation_of(direction(row, row_sign), direction(column, column_sign))
    plane = PLANE_OF_AXIS[3 - row - column]
    assert found.plane == plane
    assert np.array_equal(found.shown(stored_slice(*frame)), SHOWN[plane](2))
    assert found.normal == NORMALS[plane]


@given(st.sampled_from(FRAMES), axes, st.floats(0, 30))
def test_a_frame_tilted_by_up_to_30_degrees_is_shown_like_one_that_is_not(frame, axis, degrees):
    row, column, row_sign, column_sign = frame
    vectors = direction(row, row_sign), direction(column, column_sign)
    found = orientation_of(*(rotated(vector, axis, degrees) for vector in vectors))
    plane = PLANE_OF_AXIS[3 - row - column]
    assert found.plane == plane
    assert np.array_equal(found.shown(stored_slice(*frame)), SHOWN[plane](2))
    normal = rotated(np.array(NORMALS[plane], float), axis, degrees)
    np.testing.assert_allclose(found.normal, normal, atol=1e-9)
    corner = np.array([3.0, -20.0, 70.0])
    assert found.position_of(corner) == pytest.approx(float(normal @ corner), abs=1e-9)


@given(st.sampled_from(FRAMES), st.floats(40, 50))
def test_a_frame_halfway_between_two_planes_is_oblique_and_stays_as_stored(frame, degrees):
    row, column, row_sign, column_sign = frame
    across = direction(row, row_sign)
    down = rotated(direction(column, column_sign), across, degrees)
    found = orientation_of(across, down)
    assert found.plane == "oblique"
    assert np.array_equal(found.shown(stored_slice(*frame)), stored_slice(*frame))
    np.testing.assert_allclose(found.normal, np.cross(across, down), atol=1e-9)


@pytest.mark.parametrize("frame", FRAMES)
def test_spacing_follows_the_pixels(frame):
    row, column, row_sign, column_sign = frame
    found = orientation_of(direction(row, row_sign), direction(column, column_sign))
    # One millimeter along x, two along y, three along z; stored as rows, then columns.
    of_axis = (1.0, 2.0, 3.0)
    shown = {"axial": (2.0, 1.0), "coronal": (3.0, 1.0), "sagittal": (3.0, 2.0)}[found.plane]
    assert found.shown_spacing((of_axis[column], of_axis[row])) == shown


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (1, 0, 0)),
        ((1, 0, 0), (np.nan, 1, 0)),
    ],
)
def test_cosines_that_span_no_plane_are_unknown_and_change_nothing(row, column):
    found = orientation_of(row, column)
    assert found == Orientation()
    assert found.plane == ""
    assert np.array_equal(found.shown(VOXELS[..., 0]), VOXELS[..., 0])


def test_colors_stay_with_their_pixels():
    pixels = np.arange(2 * 3 * 3).reshape(2, 3, 3)
    turned = Orientation(transposed=True, flip_rows=True).shown(pixels)
    assert turned.shape == (3, 2, 3)
    assert turned[0, 1].tolist() == pixels[1, 2].tolist()
