"""A slice becomes the square that the network sees."""

import cv2
import numpy as np
import pytest

from falx.image.render import render
from falx.recipe import Rendering


def tall_slice():
    pixels = np.zeros((120, 60), np.float32)
    pixels[20:100, 10:50] = 0.8
    return pixels


def test_without_crop_and_stretched_it_is_a_plain_resize():
    levels = np.random.default_rng(0).integers(0, 256, (300, 260), np.uint8)
    view = render((levels / 255).astype(np.float32), Rendering(crop="none", aspect="stretch"))
    assert view.dtype == np.uint8
    np.testing.assert_array_equal(
        view, cv2.resize(levels, (224, 224), interpolation=cv2.INTER_AREA)
    )


def test_a_slice_of_the_right_size_passes_unchanged():
    levels = np.random.default_rng(0).integers(0, 256, (224, 224), np.uint8)
    view = render((levels / 255).astype(np.float32), Rendering(crop="none", aspect="stretch"))
    np.testing.assert_array_equal(view, levels)


def test_cropped_and_stretched_the_head_fills_the_square():
    view = render(tall_slice(), Rendering(size=64, crop="head", aspect="stretch"))
    assert view[2:-2, 3:-3].min() == 204


def test_cropped_in_proportion_the_head_keeps_its_shape_and_the_rest_is_background():
    view = render(tall_slice(), Rendering(size=64, crop="head", aspect="keep"))
    bright = view > 102
    assert abs(bright[32].sum() - 32) <= 2
    assert abs(bright[:, 32].sum() - 64) <= 2
    assert view[:, 0].max() == 0


@pytest.mark.parametrize("shape", [(33, 500), (500, 33), (1, 40), (40, 1)])
def test_extreme_shapes_become_squares_too(shape):
    pixels = np.random.default_rng(0).random(shape, np.float32)
    assert render(pixels, Rendering(size=96)).shape == (96, 96)
