"""A contact sheet shows pictures as they are, and says which are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from falx.errors import BadInput
from falx.figures import style
from falx.figures.contact_sheet import contact_sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_contact_sheet_shows_every_picture_unaltered() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(256, size=(h, w), dtype=np.uint8) for h, w in [(9, 5), (4, 8), (6, 6)]]
    images.append(rng.random((7, 3)))
    captions = ["no: 1.png", "yes: 2.png\n0.93", "", "d"]
    axes = contact_sheet(images, captions, columns=3).axes
    assert [texts(one) for one in axes] == [[caption] for caption in captions]
    for one, image in zip(axes, images, strict=True):
        (shown,) = one.images
        np.testing.assert_array_equal(shown.get_array(), image)
        assert shown.get_clim() == (0, 255 if image.dtype == np.uint8 else 1)
        left, right = one.get_xlim()
        bottom, top = one.get_ylim()
        assert right - left == bottom - top == max(image.shape)
        assert one.get_aspect() == 1
    boxes = [one.get_position() for one in axes]
    assert boxes[0].y0 == boxes[2].y0 > boxes[3].y1
    assert boxes[3].x0 == pytest.approx(boxes[0].x0)
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)


def test_contact_sheet_marks_wrong_ones_by_sign_and_color() -> None:
    images = [np.zeros((4, 4))] * 2
    right, wrong = contact_sheet(images, ["a", "b"], marks=[True, False]).axes
    assert texts(right) == ["a"]
    assert texts(wrong) == ["\N{BALLOT X} b"]
    assert to_hex(right.texts[0].get_color()).upper() == style.BLUE
    assert to_hex(wrong.texts[0].get_color()).upper() == style.VERMILLION


def test_contact_sheet_keeps_both_ends_of_long_captions() -> None:
    (axes,) = contact_sheet([np.zeros((4, 4))], ["patient-0001-" * 5 + "last.png"]).axes
    (shown,) = texts(axes)
    assert shown.startswith("patient-0001")
    assert shown.endswith("last.png")
    assert len(shown) <= 26


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": []}, "Needs images"),
        ({"columns": 0}, "`columns` of 1 or more"),
        ({"captions": ["a", "b"]}, "one entry for each of 1 images"),
        ({"marks": []}, "one entry for each of 1 images"),
        ({"images": [np.zeros((4, 4, 3))]}, r"number 0 is float64 of shape \(4, 4, 3\)"),
        ({"images": [np.full((4, 4), 255.0)]}, r"float in \[0, 1\]"),
        ({"images": [np.zeros((4, 4), np.int32)]}, "int32"),
    ],
)
def test_bad_contact_sheets(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"images": [np.zeros((4, 4))], "captions": ["a"]}
    with pytest.raises(BadInput, match=message):
        contact_sheet(**(good | change))
