"""Statistics of a view say what their names say."""

import cv2
import numpy as np
import pytest

from falx.image.view_statistics import VIEW_STATISTICS, view_statistics
from falx.phantoms import make_phantom


@pytest.fixture(scope="module")
def view():
    pixels = make_phantom(1, tumor=False, size=224).pixels
    return (255 * (pixels / pixels.max())).astype(np.uint8)


def measured(view):
    return dict(zip(VIEW_STATISTICS, view_statistics(view).tolist(), strict=True))


def test_gray_levels_are_fractions_of_255(view):
    found = measured(view)
    assert found["brightness"] == pytest.approx(view.mean() / 255, abs=1e-5)
    assert found["contrast"] == pytest.approx(view.std() / 255, abs=1e-5)
    assert found["background"] == pytest.approx((view <= 8).mean(), abs=1e-6)
    assert found["90th percentile of gray levels"] == pytest.approx(
        np.quantile(view, 0.9) / 255, abs=1 / 255
    )


def test_blur_takes_away_detail_of_one_pixel_and_noise_adds_it(view):
    blurred = cv2.GaussianBlur(view, (0, 0), 2)
    noisy = np.clip(view + np.random.default_rng(0).normal(0, 25, view.shape), 0, 255)
    detail = [
        measured(each)["detail of 1 pixel"] for each in (blurred, view, noisy.astype(np.uint8))
    ]
    assert detail == sorted(detail)
    assert detail[1] - detail[0] > 0.1
    assert detail[2] - detail[1] > 0.1


def test_symmetry_is_that_of_left_and_right(view):
    both = np.maximum(view, view[:, ::-1])
    assert measured(both)["symmetry"] == pytest.approx(1, abs=1e-4)


def test_places_are_as_one_sees_them():
    view = np.zeros((96, 96), np.uint8)
    view[:32, 64:] = 90
    found = measured(view)
    assert found["gray level at the top right"] == pytest.approx(9, rel=1e-3)
    assert found["gray level at the center"] == 0


@pytest.mark.parametrize("level", [0, 128])
def test_a_uniform_view_has_finite_statistics(level):
    assert np.isfinite(view_statistics(np.full((64, 64), level, np.uint8))).all()
