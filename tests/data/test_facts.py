"""The facts of a slice are those of its pixels and header, and nothing is lost between them."""

import math
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from falx.data.facts import Facts, measure
from falx.data.slices import Acquisition, Slice
from falx.image.crop import head_box, head_extent


def slice_with_head(**about):
    """An ellipse of 140 x 100 pixels with a dim ring around it, brighter at its right."""
    pixels = np.zeros((200, 160), np.float32)
    cv2.ellipse(pixels, (80, 100), (60, 80), 0, 0, 360, 0.2, cv2.FILLED)
    cv2.ellipse(pixels, (80, 100), (50, 70), 0, 0, 360, 0.6, cv2.FILLED)
    pixels[:, 80:] *= 1.2
    return Slice(pixels, Path("a.dcm"), **about)


def test_what_the_slice_says_of_itself_is_kept():
    about = {
        "index": 3, "frames": 20, "format": "dicom", "color": False, "patient": "P1", "study": "1",
        "series": "1.2", "uid": "1.2.3", "instance": 9, "plane": "axial", "position": -12.5,
        "spacing": 0.9,
    }  # fmt: skip
    acquisition = Acquisition("MR", "BRAIN", ("ORIGINAL",), "T1 + C", contrast=True)
    found = measure(slice_with_head(**about, acquisition=acquisition))
    assert {name: getattr(found, name) for name in about} == about
    assert (found.description, found.contrast) == ("T1 + C", True)
    assert (found.height, found.width, found.problem) == (200, 160, "")


def test_what_is_unknown_stays_unknown():
    found = measure(slice_with_head())
    assert (found.plane, found.patient, found.uid, found.instance) == ("", "", "", 0)
    assert math.isnan(found.position)
    assert math.isnan(found.spacing)
    assert (found.index, found.frames) == (0, 1)


def test_the_box_and_the_extent_are_those_of_the_crop():
    slice_ = slice_with_head()
    found = measure(slice_)
    box, (extent, fraction) = head_box(slice_.pixels), head_extent(slice_.pixels)
    assert found.head == (box.top, box.left, box.bottom, box.right)
    assert found.extent == (extent.top, extent.left, extent.bottom, extent.right)
    assert found.head_area == fraction
    assert fraction == pytest.approx(np.pi * 60 * 80 / (200 * 160), rel=0.06)


def test_a_slice_without_a_head_has_no_extent():
    found = measure(Slice(np.full((40, 50), 0.3, np.float32), Path("a.png")))
    assert found.extent == ()
    assert found.head_area == 0
    assert found.head == (0, 0, 40, 50)
    assert found.problem.startswith("blank")


def test_a_header_that_settles_the_matter_is_a_problem():
    assert measure(slice_with_head(acquisition=Acquisition("CT"))).problem == "a CT image, not MR"


def test_a_row_holds_every_fact_as_plain_values():
    row = measure(slice_with_head()).row()
    assert set(row) == {field.name for field in fields(Facts)}
    assert all(
        isinstance(value, int | float | str | bool | tuple) and not isinstance(value, np.generic)
        for value in row.values()
    )
