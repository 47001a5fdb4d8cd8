"""Other libraries' loggers are as they were, whatever falx does."""

import json
import logging
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import falx
import small_scans
from falx.quiet import ignored_warnings, quiet
from helpers import head_slices, write_series

LOGGER = "somebody.else"


class Kept(logging.Handler):
    """Keeps the messages of records."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


@pytest.fixture
def kept():
    handler, logger = Kept(), logging.getLogger(LOGGER)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.messages
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_what_is_below_the_level_is_dropped_inside_only(kept):
    logger = logging.getLogger(LOGGER)
    with quiet(logging.ERROR, LOGGER):
        logger.warning("inside")
        logger.error("worse")
    logger.warning("outside")
    assert kept == ["worse", "outside"]
    assert logger.filters == []


def test_a_logger_is_as_before_after_an_error(kept):
    logger = logging.getLogger(LOGGER)
    with pytest.raises(ZeroDivisionError), quiet(logging.ERROR, LOGGER, "another"):
        _ = 1 / 0
    assert logger.filters == logging.getLogger("another").filters == []
    logger.info("after")
    assert kept == ["after"]


def test_a_logger_that_no_name_gives_is_quiet_too():
    logger, heard = logging.Logger(LOGGER), []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    logger.addHandler(handler)
    with quiet(logging.WARNING, logger):
        logger.info("dropped")
        logger.warning("said")
    logger.info("after")
    assert heard == ["said", "after"]
    assert logger.filters == []


def test_other_threads_are_heard(kept):
    logger = logging.getLogger(LOGGER)
    with quiet(logging.CRITICAL, LOGGER):
        logger.error("own")
        thread = threading.Thread(target=logger.error, args=("other",))
        thread.start()
        thread.join()
    assert kept == ["other"]


def test_blocks_within_blocks(kept):
    logger = logging.getLogger(LOGGER)
    with quiet(logging.ERROR, LOGGER):
        with quiet(logging.CRITICAL, LOGGER):
            logger.error("inner")
        logger.error("outer")
        logger.warning("dropped")
    assert kept == ["outer"]


STATE = """
import json, logging, sys, warnings
from pathlib import Path
import pydicom, nibabel, highdicom
names = ["", "pydicom", "nibabel", "nibabel.global", "highdicom", "highdicom.seg.sop", "matplotlib"]
def state():
    loggers = map(logging.getLogger, names)
    return [
        [each.name, each.level, each.disabled, each.propagate, len(each.handlers), len(each.filters)]
        for each in loggers
    ] + [logging.root.manager.disable, logging.raiseExceptions]
logging.getLogger("pydicom").setLevel(logging.DEBUG)
before = state()
import falx
states = [state()]
"""


def after(code: str) -> list:
    """States of loggers: before falx is imported, after it is, and after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{STATE}\n{code}\nprint(json.dumps([before, *states, state()]))"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_loggers_are_the_same_after_every_import_and_every_read(tmp_path):
    """In a process of its own, where nothing has been imported before."""
    head = small_scans.head((32, 40, 8))
    datasets = small_scans.series(head, 4)
    small_scans.write(tmp_path / "series", datasets)
    # A damaged file is what the libraries log of.
    (tmp_path / "series" / "000.dcm").write_bytes(small_scans.content(datasets[0])[:-400])
    file = small_scans.write_nifti(tmp_path / "head.nii.gz", head, (1, 1, 4))
    outlines = np.zeros((8, 40, 32), bool)
    outlines[3, 9:20, 9:20] = True
    segmentation = small_scans.segmentation(datasets, outlines)
    small_scans.write(tmp_path / "masks", [segmentation])
    states = after(f"""
from importlib import import_module
root = Path(falx.__file__).parent
for room in sorted(each.stem for each in root.iterdir() if each.suffix == ".py" or (each / "__init__.py").exists()):
    if room != "__init__":
        import_module(f"falx.{{room}}")
states.append(state())
findings = falx.load().predict([{str(tmp_path / "series")!r}, {str(file)!r}])
assert len(findings.studies) == 2 and 'is' in findings.left_out[0].problem, findings
from falx.data.dicom.segmentation import read_segmentation
mask = Path({str(tmp_path / "masks" / "000.dcm")!r})
found = read_segmentation(mask, mask.read_bytes()).of({datasets[3].SOPInstanceUID!r})
assert found.sum() == 121, found
""")
    assert len(states) == 4
    assert states == [states[0]] * 4


def test_warnings_are_ignored_in_any_number_of_threads_and_shown_again_afterwards():
    before, together = list(warnings.filters), threading.Barrier(8)

    def ignores(_):
        with ignored_warnings:
            together.wait()
            ignored = warnings.filters[0][0] == "ignore"
            together.wait()
        return ignored

    with ThreadPoolExecutor(8) as executor:
        assert all(executor.map(ignores, range(8)))
    assert warnings.filters == before


def test_reading_a_series_leaves_the_filters_of_warnings(tmp_path):
    before = list(warnings.filters)
    write_series(tmp_path, head_slices(24, size=64))
    falx.load().predict(tmp_path)
    assert warnings.filters == before
