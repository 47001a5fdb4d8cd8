"""Files of one DICOM series belong together, wherever they lie and whatever they are called."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from falx.data.series import group_by_series
from small_scans import dicom, head, write, write_nifti

PIXELS = np.full((4, 4), 100, np.uint16)


@pytest.fixture
def executor():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_files_of_a_series_are_together_in_the_order_they_were_named(tmp_path, executor):
    of_series = ["1.1", "1.2", "1.1", "1.2", "1.1"]
    write(tmp_path, [dicom(PIXELS, SeriesInstanceUID=uid) for uid in of_series], list("ecadb"))
    files = sorted(tmp_path.iterdir())
    grouped = [tuple(file.name for file in group) for group in group_by_series(files, executor)]
    assert grouped == [("a", "b", "e"), ("c", "d")]


def test_a_series_may_lie_in_several_folders(tmp_path, executor):
    one = write(tmp_path / "a", [dicom(PIXELS)])
    other = write(tmp_path / "b", [dicom(PIXELS)])
    files = [one / "000.dcm", other / "000.dcm"]
    assert group_by_series(files, executor) == [tuple(files)]


def test_anything_else_is_alone(tmp_path, executor):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4), np.uint8))
    assert cv2.imwrite(str(tmp_path / "b.png"), np.zeros((4, 4), np.uint8))
    write_nifti(tmp_path / "c.nii", head((4, 4, 4)))
    without_uid = [dicom(PIXELS, SeriesInstanceUID=None)] * 2
    write(tmp_path, without_uid, ["d.dcm", "e.dcm"])
    (tmp_path / "f.dcm").write_bytes(bytes(128) + b"DICM" + b"no DICOM at all")
    (tmp_path / "g").mkdir()
    files = [*sorted(tmp_path.iterdir()), tmp_path / "gone.dcm"]
    assert group_by_series(files, executor) == [(file,) for file in files]
