"""A report and its page."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from falx.reporting.pages.run import write_report
from falx.reporting.report import Figure


@pytest.fixture
def report(make_report, tmp_path):
    """Of a leak-free training, 34 of 38 test slices classified correctly, with a figure."""
    picture = tmp_path / "roc.png"
    cv2.imwrite(str(picture), np.zeros((32, 48), np.uint8))
    caption = "True positive rate against false positive rate."
    return make_report(figures=(Figure("ROC", caption, picture),))


@pytest.fixture
def written(read_page, tmp_path):
    """A function that writes a report and reads the page."""

    def write(report):
        path = tmp_path / "report.html"
        write_report(report, path)
        return read_page(path)

    return write
