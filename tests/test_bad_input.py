"""Bad input gets one clear sentence or a row with the reason; nothing is lost or half-written."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from falx.data.auditing import audit
from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.errors import FalxError, UnreadableImage

SET = {"rendering.size": 64, "phases.0.epochs": 1}
TRAIN = ("train", *(f"--set={key}={value}" for key, value in SET.items()))


def falx(*arguments, cwd, limit=None):
    """Run the command line in a process of its own; `limit` is the largest file it may write."""

    def before():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = [sys.executable, "-m", "falx.cli", *map(str, arguments)]
    how = {"preexec_fn": before} if limit else {}
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, **how)


def assert_one_sentence(done, *parts):
    assert done.returncode == 2, done.stderr
    *before, error = [line for line in done.stderr.splitlines() if line.strip()]
    # Without a terminal, training says in a line each what it is at.
    assert all(re.fullmatch(r"\w[\w ]* \.\.\.", line) for line in before), done.stderr
    assert error.startswith("Error: ")
    assert error.endswith(".")
    for part in parts:
        assert part in error


def some(source, target, n):
    """Copy the first n slices of a class."""
    target.mkdir(parents=True)
    for file in sorted(source.glob("*.png"))[:n]:
        shutil.copy(file, target)


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        ({}, "no images in class subfolders"),
        ({"yes": 4}, "only the class 'yes'"),
        ({"yes": 4, "no": 0}, "only the class 'yes'"),
        ({"yes": 30, "no": 1}, "1 group(s)"),
    ],
    ids=["empty", "one class", "an empty class", "a class with one group"],
)
def test_data_that_can_not_be_trained_on_leave_nothing_behind(
    phantoms, tmp_path, classes, sentence
):
    data = tmp_path / "data"
    data.mkdir()
    for name, n in classes.items():
        some(phantoms / name, data / name, n)
    done = falx(*TRAIN, data, "--out", "run", cwd=tmp_path)
    assert_one_sentence(done, sentence)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def huge_png():
    """30,000 x 30,000 black pixels in about 110 kB."""
    rows = zlib.compress(bytes(30_000 * (1 + 30_000 // 8)), 9)
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def truncated_jpeg():
    import cv2
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()[:-200]


def truncated_dicom():
    return Path(get_testdata_file("MR_small.dcm")).read_bytes()[:-500]


BROKEN = {
    "text.jpg": (b"this is no image", "whatever its name says"),
    "cut.jpg": (truncated_jpeg(), "cut off"),
    "cut.dcm": (truncated_dicom(), "DICOM"),
    "nothing.png": (b"", "0 bytes"),
    "huge.png": (huge_png(), "30000 x 30000"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_can_not_be_read_is_a_row_with_the_reason(phantoms, tmp_path, name):
    content, reason = BROKEN[name]
    for label in ("yes", "no"):
        some(phantoms / label, tmp_path / label, 3)
    (tmp_path / "yes" / name).write_bytes(content)
    table = build_catalog(tmp_path).table
    assert len(table) == 7
    problem = table.loc[table["path"] == f"yes/{name}", "problem"].item()
    assert reason in problem
    assert problem.endswith(".")
    assert (table.loc[table["path"] != f"yes/{name}", "problem"] == "").all()
    with pytest.raises(UnreadableImage) as raised:
        read_slices(tmp_path / "yes" / name)
    assert str(raised.value).count("\n") == 0


def test_a_broken_dicom_does_not_print_what_its_decoders_say(tmp_path, capfd):
    (tmp_path / "cut.dcm").write_bytes(truncated_dicom())
    with pytest.raises(FalxError):
        read_slices(tmp_path / "cut.dcm")
    assert capfd.readouterr() == ("", "")
    assert pydicom.dcmread(get_testdata_file("MR_small.dcm")).Rows == 64


def test_labels_that_differ_between_copies_are_named(phantoms, tmp_path):
    for label in ("yes", "no"):
        some(phantoms / label, tmp_path / label, 6)
    copied = sorted((tmp_path / "yes").iterdir())[0]
    shutil.copy(copied, tmp_path / "no" / "copy.png")
    found = audit(build_catalog(tmp_path)).as_dict()
    assert [sorted(group) for group in found["conflicts"]] == [
        ["no/copy.png", f"yes/{copied.name}"]
    ]


@pytest.mark.skipif(os.name != "posix", reason="limits of files are POSIX")
def test_a_disk_that_fills_up_stops_with_one_sentence_and_leaves_nothing_half_written(
    phantoms, tmp_path
):
    command = (*TRAIN, phantoms, "--out", "run")
    done = falx(*command, cwd=tmp_path, limit=1_000_000)
    assert_one_sentence(done, "writing", "make room", "same command")
    assert list(tmp_path.iterdir()) == []
    done = falx(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["n"] > 0
