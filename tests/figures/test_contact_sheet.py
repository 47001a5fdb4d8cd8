"""A contact sheet shows pictures as they are, and says which are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import BboxImage
from matplotlib.text import Annotation

from falx.errors import BadInput
from falx.figures import style
from falx.figures.contact_sheet import contact_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pictures(figure: Figure) -> list[BboxImage]:
    return [each for each in figure.artists if isinstance(each, BboxImage)]


def captions(figure: Figure) -> list[Annotation]:
    return [each for each in figure.artists if isinstance(each, Annotation)]


def test_contact_sheet_shows_every_picture_unaltered() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(256, size=(h, w), dtype=np.uint8) for h, w in [(9, 5), (4, 8), (6, 6)]]
    images.append(rng.random((7, 3)))
    names = ["no: 1.png", "yes: 2.png\n0.93", "", "d"]
    figure = contact_sheet(images, names, columns=3)
    assert [each.get_text() for each in captions(figure)] == names
    boxes = [each.get_window_extent() for each in pictures(figure)]
    for shown, box, image in zip(pictures(figure), boxes, images, strict=True):
        np.testing.assert_array_equal(shown.get_array(), image)
        assert shown.get_clim() == (0, 255 if image.dtype == np.uint8 else 1)
        assert box.width / box.height == pytest.approx(image.shape[1] / image.shape[0])
        assert max(box.width, box.height) == pytest.approx(1.5 * style.DPI)
    centers = [((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in boxes]
    assert centers[0][1] == pytest.approx(centers[2][1])
    assert boxes[2].y0 > boxes[3].y1
    assert centers[3][0] == pytest.approx(centers[0][0])
    assert all(figure.bbox.contains(*corner) for box in boxes for corner in box.corners())


def test_a_picture_lies_on_its_gray_square_and_below_its_frame(tmp_path) -> None:
    sheet = contact_sheet([np.full((4, 2), 40, np.uint8)], ["a"], marks=[True])
    style.save(sheet, tmp_path / "sheet.png")
    drawn = cv2.imread(str(tmp_path / "sheet.png"))[:, :, ::-1]
    (picture,) = pictures(sheet)
    box = picture.get_window_extent()
    row, column = len(drawn) - round((box.y0 + box.y1) / 2), round((box.x0 + box.x1) / 2)
    left = column - round(0.75 * style.DPI)
    assert drawn[row, column].tolist() == [40] * 3
    assert drawn[row, left + 20].tolist() == [0xED] * 3
    assert to_hex(drawn[row, left] / 255).upper() == style.BLUE


def test_contact_sheet_marks_wrong_ones_by_sign_and_color() -> None:
    images = [np.zeros((4, 4))] * 2
    right, wrong = captions(contact_sheet(images, ["a", "b"], marks=[True, False]))
    assert right.get_text() == "a"
    assert wrong.get_text() == "\N{BALLOT X} b"
    assert to_hex(right.get_color()).upper() == style.BLUE
    assert to_hex(wrong.get_color()).upper() == style.VERMILLION


def test_contact_sheet_keeps_both_ends_of_long_captions() -> None:
    (shown,) = captions(contact_sheet([np.zeros((4, 4))], ["patient-0001-" * 5 + "last.png"]))
    text = shown.get_text()
    assert text.startswith("patient-0001")
    assert text.endswith("last.png")
    assert len(text) <= 26


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
