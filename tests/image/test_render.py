"""A slice becomes the square that the network sees."""

import cv2
import numpy as np
import pytest

from falx.image.crop import Box, background_level, head_box
from falx.image.render import Region, render, render_levels, render_with_region, to_levels
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
    # Round, as heads are: a rectangle on a uniform ground is a picture in a frame.
    pixels = np.zeros((120, 60), np.float32)
    cv2.ellipse(pixels, (30, 60), (20, 40), 0, 0, 360, 0.8, cv2.FILLED)
    view = render(pixels, Rendering(size=64, crop="head", aspect="keep"))
    bright = view > 102
    assert abs(bright[32].sum() - 32) <= 2
    assert abs(bright[:, 32].sum() - 64) <= 2
    assert view[:, 0].max() == 0


@pytest.mark.parametrize("shape", [(33, 500), (500, 33), (1, 40), (40, 1)])
def test_extreme_shapes_become_squares_too(shape):
    pixels = np.random.default_rng(0).random(shape, np.float32)
    assert render(pixels, Rendering(size=96)).shape == (96, 96)


HEAD = Box(20, 10, 100, 50)


@pytest.mark.parametrize("crop", ["head", "none"])
@pytest.mark.parametrize("aspect", ["keep", "stretch"])
def test_levels_render_as_the_slice_that_they_come_from(crop, aspect):
    pixels = np.clip(tall_slice() + np.random.default_rng(0).random((120, 60)) / 8, 0, 1)
    pixels = pixels.astype(np.float32)
    rendering = Rendering(size=64, crop=crop, aspect=aspect)
    view, region = render_levels(
        to_levels(pixels), background_level(pixels), rendering, head_box(pixels)
    )
    expected, expected_region = render_with_region(pixels, rendering)
    np.testing.assert_array_equal(view, expected)
    assert region == expected_region
    assert (view.dtype, view.shape) == (np.uint8, (64, 64))


def test_the_box_that_is_given_is_shown_and_not_that_of_the_slice():
    rendering = Rendering(size=64, aspect="stretch")
    _, region = render_with_region(tall_slice(), rendering, Box(30, 5, 90, 55))
    assert region == Region(30, 5, 90, 55)
    view = render(tall_slice(), rendering, Box(40, 20, 80, 40))
    assert view.min() == 204


def test_in_proportion_the_region_reaches_beyond_the_slice():
    rendering = Rendering(size=64, aspect="keep")
    _, region = render_with_region(tall_slice(), rendering, HEAD)
    assert region == Region(20, -10, 100, 70)
    assert (region.height, region.width) == (80, 80)


def test_what_lies_beyond_the_slice_is_background():
    pixels = np.where(tall_slice() > 0, tall_slice(), np.float32(0.3)).astype(np.float32)
    # The head of 80 x 40 pixels has 20 columns of background at either side.
    view, _ = render_levels(to_levels(pixels), 0.3, Rendering(size=160, aspect="keep"), HEAD)
    assert set(np.unique(view[:, :38])) == set(np.unique(view[:, -38:])) == {76}
    assert set(np.unique(view[:, 42:118])) == {204}


def test_without_a_crop_the_box_does_not_matter():
    rendering = Rendering(size=64, crop="none", aspect="stretch")
    levels = to_levels(tall_slice())
    with_box, region = render_levels(levels, 0.0, rendering, HEAD)
    without, _ = render_levels(levels, 0.0, rendering, None)
    np.testing.assert_array_equal(with_box, without)
    assert region == Region(0, 0, 120, 60)


def test_gray_levels_are_rounded_to_8_bits():
    pixels = np.array([[0, 0.5 / 255, 0.6 / 255, 1]], np.float32)
    assert to_levels(pixels).tolist() == [[0, 0, 1, 255]]
