"""The head is found wherever it lies, on dark and on bright background, whatever is burned in."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.image.crop import (
    Box,
    background_level,
    head_box,
    head_extent,
    head_mask,
    picture_box,
)


def slice_with_head(
    height=200, width=160, center=(80, 100), axes=(50, 70), background=0.0, head=0.5
):
    pixels = np.full((height, width), background, np.float32)
    cv2.ellipse(pixels, center, axes, 0, 0, 360, head, cv2.FILLED)
    return pixels


def test_the_box_encloses_the_head_with_at_most_one_pixel_to_spare():
    box = head_box(slice_with_head())
    assert (box.top, box.left, box.bottom, box.right) == (29, 29, 172, 132)


def test_a_bright_background_makes_no_difference():
    dark = head_box(slice_with_head())
    assert head_box(slice_with_head(background=1.0, head=0.4)) == dark


def test_burned_in_text_is_left_out():
    pixels = slice_with_head()
    before = head_box(pixels)
    letters = cv2.putText(np.zeros((20, 160), np.uint8), "R 12", (2, 14), 0, 0.4, 255, 1)
    pixels[:20] += letters / 255
    assert head_box(pixels) == before


def test_dark_parts_inside_the_head_belong_to_it():
    pixels = slice_with_head()
    cv2.circle(pixels, (80, 100), 20, 0.0, cv2.FILLED)
    assert head_mask(pixels)[100, 80]


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_slice_in_which_nothing_stands_out_is_all_head(level):
    assert head_box(np.full((40, 50), level, np.float32)) == Box(0, 0, 40, 50)


def test_the_background_is_the_gray_level_of_the_rim():
    assert background_level(slice_with_head(background=0.25)) == 0.25


@given(
    x=st.integers(60, 100), y=st.integers(80, 120), a=st.integers(25, 50), b=st.integers(30, 70),
    scale=st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_the_box_follows_the_head_to_within_two_pixels_of_the_working_size(x, y, a, b, scale):
    pixels = slice_with_head(center=(x, y), axes=(a, b))
    pixels = np.kron(pixels, np.ones((scale, scale), np.float32))
    box = head_box(pixels)
    expected = np.array([y - b, x - a, y + b + 1, x + a + 1]) * scale
    tolerance = 2 * max(1, max(pixels.shape) / 256)
    assert (
        np.abs(np.array([box.top, box.left, box.bottom, box.right]) - expected).max() <= tolerance
    )


def test_a_box_holds_at_least_one_pixel():
    with pytest.raises(ValueError, match="at least one pixel"):
        Box(3, 3, 3, 5)


def with_scalp(level, *, noise=0.02, size=(240, 200)):
    """A brain of gray 0.8 within a ring of scalp, that many times as bright, on noise."""
    pixels = np.zeros(size, np.float32)
    center = (size[1] // 2, size[0] // 2)
    cv2.ellipse(pixels, center, (80, 100), 0, 0, 360, 0.8 * level, cv2.FILLED)
    cv2.ellipse(pixels, center, (70, 90), 0, 0, 360, 0.8, cv2.FILLED)
    generator = np.random.default_rng(0)
    return np.clip(pixels + np.abs(generator.normal(0, noise, size)), 0, 1).astype(np.float32)


def edges(box):
    return np.array([box.top, box.left, box.bottom, box.right])


WITH_SCALP = np.array([20, 20, 221, 181])


def scalp_fraction(reach):
    """Fraction of that slice within so many pixels of the head."""
    return np.pi * (80 + reach) * (100 + reach) / (240 * 200)


@pytest.mark.parametrize("level", [1.0, 0.5, 0.25])
def test_the_extent_holds_a_dim_scalp(level):
    box, fraction = head_extent(with_scalp(level))
    assert np.abs(edges(box) - WITH_SCALP).max() <= 2
    assert scalp_fraction(0) <= fraction <= scalp_fraction(2)


def test_the_box_of_a_single_slice_may_cut_a_dim_scalp():
    """Why volumes are judged by their extent."""
    assert edges(head_box(with_scalp(0.25)))[0] > 25


@given(scale=st.sampled_from([0.5, 1, 2, 3]), level=st.floats(0.25, 1), noise=st.floats(0, 0.02))
def test_the_extent_scales_with_the_slice(scale, level, noise):
    pixels = with_scalp(level, noise=noise)
    scaled = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    box, fraction = head_extent(scaled)
    tolerance = 3 * max(1.0, max(scaled.shape) / 256)
    assert np.abs(edges(box) - scale * WITH_SCALP).max() <= tolerance
    assert scalp_fraction(-1) <= fraction <= scalp_fraction(2 * max(1.0, 1 / scale))
    assert box.bottom <= scaled.shape[0]
    assert box.right <= scaled.shape[1]


def test_the_extent_of_a_bright_head_is_its_box():
    assert head_extent(slice_with_head())[0] == head_box(slice_with_head())


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_slice_in_which_nothing_stands_out_has_no_extent(level):
    assert head_extent(np.full((40, 50), level, np.float32)) is None


def test_noise_alone_has_no_extent():
    noise = np.random.default_rng(0).normal(0, 0.01, (200, 200))
    assert head_extent(np.abs(noise).astype(np.float32)) is None


MARGINS = [(20, 20, 20, 20), (0, 0, 40, 40), (10, 60, 0, 5)]


def framed(pixels, margins, level=1.0):
    top, bottom, left, right = margins
    return np.pad(pixels, ((top, bottom), (left, right)), constant_values=np.float32(level))


@pytest.mark.parametrize("margins", MARGINS)
@pytest.mark.parametrize("level", [0.3, 1.0])
def test_a_frame_makes_no_difference(margins, level):
    pixels = with_scalp(0.5)
    shift = np.array([margins[0], margins[2]] * 2)
    around = framed(pixels, margins, level)
    np.testing.assert_array_equal(
        edges(picture_box(around)), shift + np.array([0, 0, *pixels.shape])
    )
    np.testing.assert_array_equal(edges(head_box(around)), shift + edges(head_box(pixels)))
    np.testing.assert_array_equal(
        edges(head_extent(around)[0]), shift + edges(head_extent(pixels)[0])
    )
    assert background_level(around) == background_level(pixels)
    assert head_mask(around).sum() == head_mask(pixels).sum()


def test_the_fraction_that_is_head_is_of_the_whole_slice():
    pixels = with_scalp(0.5)
    around = framed(pixels, (20, 20, 20, 20))
    expected = head_extent(pixels)[1] * pixels.size / around.size
    assert head_extent(around)[1] == pytest.approx(expected)


def test_a_blurred_and_compressed_frame_is_left_out_too():
    around = cv2.GaussianBlur(framed(with_scalp(0.5), (20,) * 4), (0, 0), 1.5)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 40]
    _, content = cv2.imencode(".jpg", np.rint(around * 255).astype(np.uint8), quality)
    pixels = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) / np.float32(255)
    assert np.abs(edges(head_box(pixels)) - edges(head_box(with_scalp(0.5))) - 20).max() <= 2


@pytest.mark.parametrize("background", [0.0, 0.5, 1.0])
def test_a_head_on_its_background_is_no_picture_in_a_frame(background):
    pixels = slice_with_head(background=background, head=0.75)
    assert picture_box(pixels) == Box(0, 0, 200, 160)


def test_a_hairline_is_no_frame():
    pixels = with_scalp(0.5)
    assert picture_box(framed(pixels, (2, 2, 2, 2))) == Box(0, 0, 244, 204)
    assert np.abs(edges(head_box(framed(pixels, (2,) * 4))) - edges(head_box(pixels))).max() <= 3


@given(height=st.integers(1, 5), width=st.integers(1, 5), margin=st.integers(1, 9))
def test_a_picture_of_a_few_pixels_has_a_box(height, width, margin):
    pixels = np.random.default_rng(height).uniform(0, 0.8, (height, width)).astype(np.float32)
    box = picture_box(framed(pixels, (margin,) * 4))
    assert box.height >= 1
    assert box.width >= 1
