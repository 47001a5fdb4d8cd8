"""The brain or the tumor is hidden, and a detector is asked again."""

import cv2
import numpy as np
import pytest

from falx.evaluation.hiding import (
    border_of,
    hide,
    mirrored,
    painted_over,
    score_border,
    score_hidden,
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


def test_of_a_border_nothing_but_rim_and_surroundings_is_left():
    view = views(head(tumor=(48, 35)))[0]
    border = border_of(view)
    assert border[48, 24:72].max() == 0
    assert (border[:7] == view[:7]).all()
    assert border[48, 12] == view[48, 12] == 230


def test_a_slice_without_background_keeps_its_outermost_rim():
    view = np.full((SIZE, SIZE), 100, np.uint8)
    view[44:54, 44:54] = 250
    border = border_of(view)
    assert (border == 100).all()


def test_a_detector_of_brains_tells_nothing_from_the_border():
    slices = views(*[head(tumor=(40, 35)) if n % 2 else head() for n in range(40)])
    labels = np.arange(40) % 2
    found = score_border(brightest, slices, labels, np.arange(40), ("no", "yes"), brightest(slices))
    assert (found.full.value, found.roc_auc.value, found.telling) == (1.0, 0.5, False)
    (words,) = hiding_words(found, None)
    assert "the AUC is 0.500" in words
    assert "no sign that answers rest on the border" in words


def test_a_detector_of_skulls_is_found_out():
    slices = views(*[head(rim=0.9 if n % 2 else 0.5) for n in range(40)])

    def skulls(given: np.ndarray) -> np.ndarray:
        positive = given[:, 48, 13] / 255
        return np.column_stack([1 - positive, positive])

    labels = np.arange(40) % 2
    found = score_border(skulls, slices, labels, np.arange(40), ("no", "yes"), skulls(slices))
    assert (found.roc_auc.value, found.telling) == (1.0, True)
    (words,) = hiding_words(found, None)
    assert "The border alone predicts the class" in words


def test_a_tumor_that_is_painted_over_is_as_what_surrounds_it():
    pixels, mask = head(tumor=(40, 35)), spot(40, 35)
    filled = painted_over(pixels, mask)
    np.testing.assert_allclose(filled[mask], 0.4, atol=0.02)
    away = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) == 0
    assert (filled[away] == pixels[away]).all()


def test_the_mirrored_place_is_across_the_middle_of_the_head():
    shifted = np.roll(head(), 5, axis=1)
    assert (mirrored(spot(40, 40), shifted) == spot(40, 66)).all()


@pytest.mark.parametrize("column", [48, 44])
def test_a_tumor_across_the_middle_has_no_mirrored_place(column):
    assert mirrored(spot(40, column), head()) is None
    assert hide(head(), spot(40, column), WHOLE) is None


def test_a_detector_of_tumors_misses_those_that_are_hidden():
    places = [(40, 30), (50, 64), (60, 32), (35, 62)] * 5
    hidden = [hide(head(tumor=place), spot(*place), WHOLE) for place in places]
    found = score_hidden(brightest, hidden, range(20))
    values = (found.shown.value, found.hidden.value, found.elsewhere.value, found.lost.value)
    assert (found.n, *values) == (
        20,
        *[pytest.approx(each, abs=1e-3) for each in (0.9, 0.1, 0.9, 0.8)],
    )
    (words,) = hiding_words(None, found)
    assert "On 20 slices with an outlined tumor" in words
    assert "answers rest on the tumor" in words


def test_a_detector_of_something_else_does_not_care():
    places = [(40, 30), (50, 64), (60, 32), (35, 62)] * 5
    hidden = [hide(head(tumor=place), spot(*place), WHOLE) for place in places]

    def corners(given: np.ndarray) -> np.ndarray:
        positive = (
            0.7 + given[:, 0, 0] / 1000 + np.random.default_rng(0).normal(0, 0.01, len(given))
        )
        return np.column_stack([1 - positive, positive])

    found = score_hidden(corners, hidden, range(20))
    (words,) = hiding_words(None, found)
    assert "answers rest on something else" in words


def test_of_a_single_slice_nothing_is_concluded():
    found = score_hidden(brightest, [hide(head(tumor=(40, 30)), spot(40, 30), WHOLE)], [0])
    (words,) = hiding_words(None, found)
    assert words.endswith("Too few to say more.")


def test_without_tumors_there_is_nothing_to_tell():
    assert score_hidden(brightest, [], []) is None
    assert list(hiding_words(None, None)) == []
