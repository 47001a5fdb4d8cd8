"""The head is found wherever it lies, on dark and on bright background, whatever is burned in."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.image.crop import Box, background_level, head_box, head_mask


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
