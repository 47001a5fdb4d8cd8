"""Border-only predictions and tumor occlusion, with detectors made by hand."""

import cv2
import numpy as np
import pytest

from falx.evaluation.occlusion import (
    border_only_views,
    dilate,
    inpaint,
    occluded_views,
    score_border_only,
    score_occlusion,
)
from falx.recipe import Rendering

SIZE = 96
WHOLE = Rendering(size=SIZE, crop="none", aspect="stretch")
OFF_CENTER = [(40, 30), (50, 64), (60, 32), (35, 62)] * 5


def head(*, tumor: tuple[int, int] | None = None, rim: float = 0.9) -> np.ndarray:
    """A gray ellipse in a bright skull, perhaps with a white spot around (row, column)."""
    pixels = np.zeros((SIZE, SIZE), np.float32)
    cv2.ellipse(pixels, (48, 48), (36, 42), 0, 0, 360, rim, -1)
    cv2.ellipse(pixels, (48, 48), (33, 39), 0, 0, 360, 0.4, -1)
    if tumor:
        cv2.circle(pixels, tumor[::-1], 7, 1.0, -1)
    return pixels


def spot(row: int, column: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (column, row), 7, 1, -1)
    return mask > 0


def views(*slices: np.ndarray) -> np.ndarray:
    return np.stack([np.rint(each * 255).astype(np.uint8) for each in slices])


def occluded(*centers: tuple[int, int]) -> list[np.ndarray]:
    """What `occluded_views` gives for heads with a tumor at each center."""
    return [occluded_views(head(tumor=center), spot(*center), WHOLE) for center in centers]


def brightness_detector(batch: np.ndarray) -> np.ndarray:
    """Predicts a tumor where there is white within the skull."""
    inside = batch[:, 30:66, 26:70]
    positive = np.where(inside.max(axis=(1, 2)) > 200, 0.9, 0.1) + inside.mean(axis=(1, 2)) / 1e6
    return np.column_stack([1 - positive, positive])


def border_detector(batch: np.ndarray) -> np.ndarray:
    """Predicts a tumor where the border is bright."""
    positive = batch[:, 0, 0] / 255
    return np.column_stack([1 - positive, positive])


def with_border(level: float) -> np.ndarray:
    pixels = head()
    pixels[:3] = level
    return pixels


def test_of_a_border_only_view_nothing_but_a_frame_is_left():
    full = views(head(tumor=(48, 35)), head(rim=0.5))
    borders = border_only_views(full)
    assert (borders[:, 6:-6, 6:-6] == 0).all()
    outside = np.ones((SIZE, SIZE), bool)
    outside[6:-6, 6:-6] = False
    assert (borders[:, outside] == full[:, outside]).all()


def test_the_blank_region_does_not_depend_on_the_content():
    plain = np.full((SIZE, SIZE), 0.4, np.float32)
    bright = plain.copy()
    bright[30:60, 30:60] = 1
    (one,), (other,) = border_only_views(views(plain)), border_only_views(views(bright))
    assert (one == other).all()


def test_a_detector_of_tumors_predicts_nothing_from_the_border():
    slices = views(*[head(tumor=(40, 35)) if n % 2 else head() for n in range(40)])
    full = brightness_detector(slices)
    labels = np.arange(40) % 2
    found = score_border_only(
        brightness_detector, slices, labels, np.arange(40), ("no", "yes"), full
    )
    assert (found.n, found.full_roc_auc.value, found.roc_auc.value) == (40, 1.0, 0.5)
    assert not found.roc_auc.low > 0.5
    assert not found.roc_auc.high < 0.5


@pytest.mark.parametrize(("levels", "above"), [((0.1, 0.9), True), ((0.9, 0.1), False)])
def test_a_detector_of_borders_predicts_as_well_from_the_border_alone(levels, above):
    rng = np.random.default_rng(0)
    slices = views(*[with_border(levels[n % 2] + rng.uniform(-0.1, 0.1)) for n in range(40)])
    labels = np.arange(40) % 2
    labels[:2] = 1 - labels[:2]
    found = score_border_only(
        border_detector, slices, labels, np.arange(40), ("no", "yes"), border_detector(slices)
    )
    assert found.roc_auc.value == found.full_roc_auc.value
    assert found.roc_auc.low > 0.5 if above else found.roc_auc.high < 0.5


def test_without_slices_of_a_class_there_is_no_border_only_score():
    slices = views(head(), head())
    full = brightness_detector(slices)
    labels, groups = np.array([0, 0]), np.array([0, 1])
    found = score_border_only(brightness_detector, slices, labels, groups, ("no", "yes"), full)
    assert found is None


def test_an_inpainted_tumor_looks_like_its_surroundings():
    pixels, mask = head(tumor=(40, 35)), spot(40, 35)
    filled = inpaint(pixels, dilate(mask))
    np.testing.assert_allclose(filled[mask], 0.4, atol=0.02)
    away = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) == 0
    assert (filled[away] == pixels[away]).all()


def test_the_control_region_is_the_tumor_mirrored_at_the_midline_of_the_head():
    shifted = np.roll(head(), 5, axis=1)
    textured = np.clip(shifted + np.random.default_rng(0).normal(0, 0.05, shifted.shape), 0, 1)
    visible, tumor, control = occluded_views(textured.astype(np.float32), spot(40, 40), WHOLE)
    changed = (np.flatnonzero((each != visible).any(axis=0)) for each in (tumor, control))
    left, right = (columns.mean() for columns in changed)
    assert (left, right) == (pytest.approx(40, abs=1), pytest.approx(66, abs=1))


@pytest.mark.parametrize("column", [48, 41])
def test_a_tumor_that_reaches_the_midline_has_no_control_region(column):
    assert occluded_views(head(), spot(40, column), WHOLE) is None


def test_all_occluded_views_show_the_same_rectangle():
    pixels = np.zeros((SIZE, SIZE), np.float32)
    pixels[30:70, 20:60] = 0.4
    cv2.circle(pixels, (24, 40), 10, 1.0, -1)
    mask = pixels == 1
    cropped = Rendering(size=SIZE, crop="head", aspect="stretch")
    visible, tumor, _ = occluded_views(pixels, mask, cropped)
    assert (visible[:, -10:] == tumor[:, -10:]).all()


def test_a_detector_of_tumors_misses_occluded_ones():
    found = score_occlusion(brightness_detector, occluded(*OFF_CENTER), range(20), outlined=25)
    assert (found.n, found.outlined) == (20, 25)
    estimates = found.visible, found.tumor_occluded, found.control_occluded, found.drop
    assert [each.value for each in estimates] == pytest.approx([0.9, 0.1, 0.9, 0.8], abs=1e-3)
    assert found.drop.low > 0


@pytest.mark.parametrize(("scatter", "small"), [(0.01, True), (0.3, False)])
def test_a_detector_of_something_else_shows_no_drop_where_that_is_significant(scatter, small):
    def random_detector(batch: np.ndarray) -> np.ndarray:
        positive = 0.6 + np.random.default_rng(1).uniform(-scatter, scatter, len(batch))
        return np.column_stack([1 - positive, positive])

    found = score_occlusion(random_detector, occluded(*OFF_CENTER), range(20), outlined=20)
    assert not found.drop.low > 0
    assert (found.drop.high < 0.1 * found.visible.value) == small


def test_a_single_slice_has_no_interval():
    found = score_occlusion(brightness_detector, occluded((40, 30)), [0], outlined=1)
    assert found.drop.value == pytest.approx(0.8, abs=1e-3)
    assert np.isnan([found.drop.low, found.drop.high]).all()


def test_where_all_tumors_reach_the_midline_nothing_is_measured():
    found = score_occlusion(brightness_detector, [], [], outlined=3)
    assert (found.n, found.outlined) == (0, 3)
    estimates = found.visible, found.tumor_occluded, found.control_occluded, found.drop
    assert np.isnan([each.value for each in estimates]).all()
