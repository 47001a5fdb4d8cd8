"""The brain or the tumor is hidden, and a detector is asked again."""

import cv2
import numpy as np
import pytest

from falx.evaluation.hiding import (
    borders_of,
    hide,
    painted_over,
    score_border,
    score_hidden,
    widened,
)
from falx.evaluation.hiding_words import hiding_words
from falx.recipe import Rendering

SIZE = 96
WHOLE = Rendering(size=SIZE, crop="none", aspect="stretch")


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


def brightest(given: np.ndarray) -> np.ndarray:
    """A detector that calls a tumor what has white within the skull."""
    inside = given[:, 30:66, 26:70]
    positive = np.where(inside.max(axis=(1, 2)) > 200, 0.9, 0.1) + inside.mean(axis=(1, 2)) / 1e6
    return np.column_stack([1 - positive, positive])


def test_of_a_border_nothing_but_a_frame_is_left():
    given = views(head(tumor=(48, 35)), head(rim=0.5))
    borders = borders_of(given)
    assert (borders[:, 6:-6, 6:-6] == 0).all()
    outside = np.ones((SIZE, SIZE), bool)
    outside[6:-6, 6:-6] = False
    assert (borders[:, outside] == given[:, outside]).all()


def test_what_is_blank_does_not_depend_on_a_tumor():
    plain = np.full((SIZE, SIZE), 0.4, np.float32)
    bright = plain.copy()
    bright[30:60, 30:60] = 1
    (one,), (other,) = borders_of(views(plain)), borders_of(views(bright))
    assert (one == other).all()


def skulls(given: np.ndarray) -> np.ndarray:
    """A detector that calls a tumor what has a bright frame."""
    positive = given[:, 0, 0] / 255
    return np.column_stack([1 - positive, positive])


def framed(level: float) -> np.ndarray:
    pixels = head()
    pixels[:3] = level
    return pixels


def test_a_detector_of_brains_tells_nothing_from_the_border():
    slices = views(*[head(tumor=(40, 35)) if n % 2 else head() for n in range(40)])
    labels = np.arange(40) % 2
    found = score_border(brightest, slices, labels, np.arange(40), ("no", "yes"), brightest(slices))
    assert (found.n, found.full.value, found.roc_auc.value) == (40, 1.0, 0.5)
    (words,) = hiding_words(found, None)
    assert "the AUC on 40 slices is 0.500" in words
    assert "no sign that answers rest on the border" in words


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [
        ((0.1, 0.9), "The border alone predicts the class"),
        ((0.9, 0.1), "heed the border, and here that speaks for the wrong class"),
    ],
)
def test_a_detector_of_borders_is_found_out(levels, verdict):
    rng = np.random.default_rng(0)
    slices = views(*[framed(levels[n % 2] + rng.uniform(-0.1, 0.1)) for n in range(40)])
    labels = np.arange(40) % 2
    labels[:2] = 1 - labels[:2]
    found = score_border(skulls, slices, labels, np.arange(40), ("no", "yes"), skulls(slices))
    assert found.roc_auc.value == found.full.value
    (words,) = hiding_words(found, None)
    assert verdict in words


def test_a_class_without_slices_leaves_the_border_out():
    slices = views(head(), head())
    answers = brightest(slices)
    assert score_border(brightest, slices, [0, 0], [0, 1], ("no", "yes"), answers) is None


def test_a_tumor_that_is_painted_over_is_as_what_surrounds_it():
    pixels, mask = head(tumor=(40, 35)), spot(40, 35)
    filled = painted_over(pixels, widened(mask))
    np.testing.assert_allclose(filled[mask], 0.4, atol=0.02)
    away = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) == 0
    assert (filled[away] == pixels[away]).all()


def test_as_much_is_hidden_across_the_middle_of_the_head():
    shifted = np.roll(head(), 5, axis=1)
    textured = np.clip(shifted + np.random.default_rng(0).normal(0, 0.05, shifted.shape), 0, 1)
    shown, tumor, other = hide(textured.astype(np.float32), spot(40, 40), WHOLE)
    changed = (np.flatnonzero((each != shown).any(axis=0)) for each in (tumor, other))
    left, right = (columns.mean() for columns in changed)
    assert (left, right) == (pytest.approx(40, abs=1), pytest.approx(66, abs=1))


@pytest.mark.parametrize("column", [48, 41])
def test_a_tumor_across_the_middle_has_no_mirrored_place(column):
    assert hide(head(), spot(40, column), WHOLE) is None


def test_all_variants_show_the_same_rectangle():
    pixels = np.zeros((SIZE, SIZE), np.float32)
    pixels[30:70, 20:60] = 0.4
    cv2.circle(pixels, (24, 40), 10, 1.0, -1)
    mask = pixels == 1
    cropped = Rendering(size=SIZE, crop="head", aspect="stretch")
    shown, tumor, _ = hide(pixels, mask, cropped)
    assert (shown[:, -10:] == tumor[:, -10:]).all()


def test_a_detector_of_tumors_misses_those_that_are_hidden():
    places = [(40, 30), (50, 64), (60, 32), (35, 62)] * 5
    hidden = [hide(head(tumor=place), spot(*place), WHOLE) for place in places]
    found = score_hidden(brightest, hidden, range(20), of=25)
    values = (found.shown.value, found.hidden.value, found.elsewhere.value, found.lost.value)
    assert (found.n, *values) == (
        20,
        *[pytest.approx(each, abs=1e-3) for each in (0.9, 0.1, 0.9, 0.8)],
    )
    (words,) = hiding_words(None, found)
    assert "On 20 slices with an outlined tumor (5 more have it too near the middle)" in words
    assert "answers rest on the tumor" in words


@pytest.mark.parametrize(
    ("scatter", "verdict"),
    [
        (0.01, "Hiding the tumor does little: answers rest on something else."),
        (0.3, "Whether hiding the tumor costs more than hiding another place can't be told."),
    ],
)
def test_a_detector_that_does_not_care_is_found_out_where_that_can_be_told(scatter, verdict):
    places = [(40, 30), (50, 64), (60, 32), (35, 62)] * 5
    hidden = [hide(head(tumor=place), spot(*place), WHOLE) for place in places]

    def drawn(given: np.ndarray) -> np.ndarray:
        positive = 0.6 + np.random.default_rng(1).uniform(-scatter, scatter, len(given))
        return np.column_stack([1 - positive, positive])

    found = score_hidden(drawn, hidden, range(20), of=20)
    (words,) = hiding_words(None, found)
    assert verdict in words


def test_of_a_single_slice_nothing_is_concluded():
    hidden = [hide(head(tumor=(40, 30)), spot(40, 30), WHOLE)]
    (words,) = hiding_words(None, score_hidden(brightest, hidden, [0], of=1))
    assert words.endswith("can't be told.")


def test_tumors_that_are_all_in_the_middle_are_told_of():
    (words,) = hiding_words(None, score_hidden(brightest, [], [], of=3))
    assert words.startswith("Tumors were not hidden: 3 slices with an outlined one all have it")


def test_without_anything_to_tell_there_are_no_words():
    assert list(hiding_words(None, None)) == []
