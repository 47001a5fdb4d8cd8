"""Every corruption does what its name says, by its amount, and nothing at an amount of 0."""

import cv2
import numpy as np
import pytest

from falx.image.corruptions import CORRUPTIONS, corrupt
from falx.image.crop import head_mask

NAMES = list(CORRUPTIONS)
VARIANTS = [
    (name, strength)
    for name, corruption in CORRUPTIONS.items()
    for strength in range(1, len(corruption.amounts) + 1)
]


def head(height=300, width=240):
    """A bright skull around a brain with texture, on black."""
    pixels = np.zeros((height, width), np.float32)
    center = (width // 2, height // 2)
    cv2.ellipse(pixels, center, (90, 120), 0, 0, 360, 0.8, cv2.FILLED)
    cv2.ellipse(pixels, center, (80, 110), 0, 0, 360, 0.4, cv2.FILLED)
    texture = np.random.default_rng(0).uniform(-0.1, 0.1, pixels.shape).astype(np.float32)
    return np.where(pixels > 0, pixels + texture, 0).astype(np.float32)


def applied(name, pixels, amount, seed=0):
    return CORRUPTIONS[name].apply(pixels, amount, np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
def test_an_amount_of_0_changes_nothing(name):
    np.testing.assert_allclose(applied(name, head(), 0), head(), atol=1e-6)


@pytest.mark.parametrize(("name", "strength"), VARIANTS)
def test_the_result_is_a_slice_and_depends_on_the_seed_alone(name, strength):
    pixels = head()
    result = corrupt(pixels, name, strength, seed=3)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1
    np.testing.assert_array_equal(result, corrupt(pixels, name, strength, seed=3))
    np.testing.assert_array_equal(pixels, head())
    assert result.shape != pixels.shape or np.abs(result - pixels).max() > 0.01


@pytest.mark.parametrize("name", [name for name in NAMES if len(CORRUPTIONS[name].amounts) > 1])
def test_a_stronger_corruption_has_a_larger_amount(name):
    amounts = CORRUPTIONS[name].amounts
    assert len(amounts) == 3
    assert list(amounts) == sorted(set(amounts))


def test_mirrored_twice_is_the_slice_itself():
    pixels = head()
    pixels[10, 20] = 1
    once = corrupt(pixels, "mirror", 1)
    assert once[10, -21] == 1
    np.testing.assert_array_equal(corrupt(once, "mirror", 1), pixels)


def test_blur_is_measured_in_224ths_of_the_longer_side():
    """The variance of a blurred point is the square of the standard deviation."""
    pixels = np.zeros((448, 300), np.float32)
    pixels[200, 150] = 1
    blurred = applied("blur", pixels, 2)
    rows = np.arange(448) - 200
    assert (blurred.sum(axis=1) * rows**2).sum() == pytest.approx(4.0**2, rel=0.02)


@pytest.mark.parametrize("side", [100, 700])
def test_noise_has_its_standard_deviation_at_any_resolution(side):
    flat = np.full((side, side), 0.5, np.float32)
    assert applied("noise", flat, 0.05).std() == pytest.approx(0.05, rel=0.05)


def test_rician_noise_lifts_the_background_to_its_rayleigh_mean():
    lifted = applied("Rician noise", np.zeros((250, 250), np.float32), 0.05)
    assert lifted.mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.02)


def test_gamma_is_a_power_or_its_inverse():
    pixels = np.full((4, 4), 0.5, np.float32)
    found = {round(float(applied("gamma", pixels, 0.5, seed)[0, 0]), 5) for seed in range(20)}
    assert found == {round(0.5**1.5, 5), round(0.5 ** (1 / 1.5), 5)}


def test_contrast_keeps_the_mean_and_shrinks_the_difference():
    pixels = head()
    flatter = applied("contrast", pixels, 0.4)
    assert flatter.mean() == pytest.approx(pixels.mean(), abs=1e-5)
    assert flatter.std() == pytest.approx(0.6 * pixels.std(), rel=1e-4)


def test_the_bias_field_reaches_its_bound_and_is_smooth():
    flat = np.full((200, 200), 0.4, np.float32)
    factors = applied("bias field", flat, 0.5) / 0.4
    assert max(factors.max(), 1 / factors.min()) == pytest.approx(1.5, rel=1e-3)
    assert np.abs(np.diff(factors, axis=0)).max() < 0.02


def test_a_lower_resolution_loses_fine_stripes_and_keeps_the_size():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (224, 112))
    coarse = applied("resolution", stripes, 0.5)
    assert coarse.shape == stripes.shape
    np.testing.assert_allclose(coarse, 0.5, atol=1e-3)


def test_a_slice_below_the_resolution_stays_as_it_is():
    small = head()[:100:2, :100:2]
    np.testing.assert_array_equal(applied("resolution", small, 0.5), small)


def test_jpeg_compresses_to_its_quality():
    pixels = head()
    levels = np.rint(pixels * 255).astype(np.uint8)
    _, content = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, 25])
    expected = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) / np.float32(255)
    np.testing.assert_array_equal(applied("JPEG", pixels, 75), expected)
    errors = [np.abs(corrupt(pixels, "JPEG", strength) - pixels).mean() for strength in (1, 2, 3)]
    assert errors == sorted(errors)


def test_a_rotated_slice_keeps_its_size_and_its_background():
    pixels = np.full((120, 80), 0.25, np.float32)
    pixels[60, 40:70] = 1
    rotated = applied("rotation", pixels, 20)
    assert rotated.shape == pixels.shape
    assert rotated[0, 0] == rotated[-1, -1] == 0.25
    rows, columns = np.nonzero(rotated > 0.5)
    slope = np.polyfit(columns, rows, 1)[0]
    assert abs(slope) == pytest.approx(np.tan(np.deg2rad(20)), rel=0.1)


@pytest.mark.parametrize(("name", "level"), [("black border", 0), ("white border", 1)])
def test_a_border_lies_around_the_slice(name, level):
    pixels = head()
    bordered = applied(name, pixels, 0.1)
    np.testing.assert_array_equal(bordered[30:-30, 30:-30], pixels)
    assert (bordered[:30] == level).all()
    assert (bordered[:, -30:] == level).all()


def test_text_is_white_and_stands_in_a_corner():
    pixels = head()
    corners = set()
    for seed in range(20):
        changed = applied("text", pixels, 0.05, seed) > pixels + 0.5
        rows, columns = np.nonzero(changed)
        assert 10 <= np.ptp(rows) + 1 <= 20
        corners.add((rows.mean() < 150, columns.mean() < 120))
    assert len(corners) == 4


def test_aspect_stretches_one_side():
    shapes = {applied("aspect", head(), 0.1, seed).shape for seed in range(20)}
    assert shapes == {(330, 240), (300, 264)}


def test_skull_stripping_removes_a_rim_of_its_width_and_keeps_the_rest():
    pixels = head()
    stripped = applied("skull stripping", pixels, 0.06)
    across = head_mask(pixels)[150].sum()
    kept = stripped > 0
    np.testing.assert_array_equal(stripped[kept], pixels[kept])
    assert kept[150].sum() == pytest.approx(across * (1 - 2 * 0.06), abs=4)
