"""Tones: what is drawn can be replayed, and gray levels stay gray levels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from falx.image import augment
from falx.image.tone import Tone, apply, draw
from falx.recipe import Augmentation

SIZE = 32
EVERYTHING = Augmentation(
    rotation=20, shift_x=0.06, zoom=0.15, flip=True,
    gamma=0.35, bias_field=0.25, blur=1.6, downsample=0.65, contrast=0.2, brightness=0.06, noise=0.06,
    invert=0.1,
)  # fmt: skip
CHANGES = (
    "gamma",
    "bias_field",
    "blur",
    "downsample",
    "contrast",
    "brightness",
    "noise",
    "invert",
)

seeds = st.integers(0, 2**32 - 1)
views = arrays(np.uint8, (SIZE, SIZE))


def drawn(seed, ranges=EVERYTHING):
    return draw(np.random.default_rng(seed), ranges)


def ramp():
    """Every gray level, from black at the left to white at the right."""
    return np.tile(np.arange(256, dtype=np.uint8), (256, 1))


@given(views, seeds)
def test_a_view_stays_a_view_and_is_the_same_each_time(view, seed):
    before, tone = view.copy(), drawn(seed)
    changed = apply(tone, view)
    assert (changed.dtype, changed.shape) == (np.uint8, (SIZE, SIZE))
    np.testing.assert_array_equal(apply(tone, view), changed)
    np.testing.assert_array_equal(view, before)


@given(views, seeds)
def test_without_changes_every_level_is_left_alone(view, seed):
    np.testing.assert_array_equal(apply(drawn(seed, Augmentation()), view), view)


@given(views)
def test_an_inversion_of_an_inversion_is_nothing(view):
    negative = apply(Tone(inverted=True), view)
    np.testing.assert_array_equal(negative, 255 - view)
    np.testing.assert_array_equal(apply(Tone(inverted=True), negative), view)


@given(views, seeds)
def test_a_negative_is_the_negative_of_the_same_tone(view, seed):
    tone = drawn(seed, EVERYTHING.model_copy(update={"invert": 0.0}))
    negative = Tone(**{**vars(tone), "inverted": True})
    np.testing.assert_array_equal(apply(negative, view), 255 - apply(tone, view))


@given(seeds)
def test_the_warp_is_the_same_whatever_becomes_of_the_levels(seed):
    geometry = EVERYTHING.model_copy(update=dict.fromkeys(CHANGES, 0.0))
    warps = [augment.draw(np.random.default_rng(seed), each) for each in (geometry, EVERYTHING)]
    assert warps[0] == warps[1]


@given(seeds, st.sampled_from(CHANGES))
def test_what_is_switched_off_leaves_the_rest_as_it_was(seed, name):
    field = {"invert": "inverted"}.get(name, name)
    whole, without = drawn(seed), drawn(seed, EVERYTHING.model_copy(update={name: 0.0}))
    assert getattr(without, field) == getattr(Tone(), field)
    assert {**vars(whole), field: None} == {**vars(without), field: None}


@given(seeds)
def test_what_is_drawn_lies_in_its_range(seed):
    tone = drawn(seed)
    assert min(tone.gamma, tone.contrast, *(tone.bias_field or (1.0,))) > 0
    assert len(tone.bias_field) in {0, 9}
    assert 0 <= tone.blur <= EVERYTHING.blur
    assert 0 <= tone.downsample <= EVERYTHING.downsample
    assert 0 <= tone.noise <= EVERYTHING.noise


def test_each_change_is_made_in_its_share_of_the_views():
    tones = [drawn(seed) for seed in range(2000)]
    shares = {"bias_field": 0.5, "blur": 0.3, "downsample": 0.2, "noise": 0.3, "inverted": 0.1}
    found = {name: np.mean([bool(getattr(tone, name)) for tone in tones]) for name in shares}
    assert found == pytest.approx(shares, abs=0.03)
    assert np.std([np.log(tone.gamma) for tone in tones]) == pytest.approx(0.35, rel=0.1)
    assert np.std([tone.brightness for tone in tones]) == pytest.approx(0.06, rel=0.1)


def test_gamma_keeps_black_and_white_and_darkens_what_is_between():
    row = apply(Tone(gamma=2.0), ramp())[0].astype(float)
    np.testing.assert_allclose(row, np.rint(255 * (np.arange(256) / 255) ** 2), atol=1)
    assert (row[0], row[-1]) == (0, 255)


def test_contrast_is_about_the_mean_and_brightness_moves_it():
    view = np.clip(ramp(), 100, 150)
    assert apply(Tone(contrast=1.5), view).mean() == pytest.approx(view.mean(), abs=0.5)
    assert apply(Tone(contrast=1.5), view).std() == pytest.approx(1.5 * view.std(), rel=0.02)
    assert apply(Tone(brightness=0.1), view).mean() == pytest.approx(view.mean() + 25.5, abs=0.5)


def test_a_bias_field_is_smooth_and_has_its_factors_where_it_should():
    gray = np.full((99, 99), 100, np.uint8)
    field = apply(Tone(bias_field=(1.2, 1, 1, 1, 1, 1, 1, 1, 0.8)), gray)
    assert field[16, 16] == 120
    assert field[49, 49] == 100
    assert field[-17, -17] == 80
    assert np.abs(np.diff(field.astype(int), axis=0)).max() <= 2


def test_blur_and_downsampling_remove_detail_and_keep_the_mean():
    view = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), np.uint8)
    for tone in (Tone(blur=1.5), Tone(downsample=0.6)):
        changed = apply(tone, view)
        assert changed.std() < 0.6 * view.std()
        assert changed.mean() == pytest.approx(view.mean(), rel=0.05)


def test_noise_has_its_deviation_and_its_own_seed():
    gray = np.full((200, 200), 128, np.uint8)
    noisy = apply(Tone(noise=0.05, noise_seed=1), gray)
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.02)
    assert (noisy != apply(Tone(noise=0.05, noise_seed=2), gray)).any()
