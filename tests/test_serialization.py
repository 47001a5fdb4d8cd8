"""What falx measures becomes JSON for any reader; archives are read, or said to be damaged."""

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from falx.errors import BadInput, BrokenRun
from falx.serialization import check_writable, read_arrays, to_json, write_json, write_whole
from falx.statistics import Estimate


@dataclass
class Pair:
    first: object
    second: object


@dataclass
class Flat:
    value: int

    def as_dict(self):
        return {"flattened": self.value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Pair(1, Pair("a", None)), {"first": 1, "second": {"first": "a", "second": None}}),
        (Estimate(0.5, math.nan, math.nan), {"value": 0.5, "low": None, "high": None}),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.float64("inf"), None),
        ((1, True, "x"), [1, True, "x"]),
        ({1: Path("a/b")}, {"1": "a/b"}),
        ([Flat(3)], [{"flattened": 3}]),
    ],
)
def test_a_value_becomes_plain(value, expected):
    assert to_json(value) == expected


def test_a_file_holds_no_word_that_json_lacks(tmp_path):
    file = tmp_path / "metrics.json"
    write_json(file, {"auc": math.nan, "label": "Gewächs"})
    assert json.loads(file.read_text("utf-8"), parse_constant=pytest.fail) == {
        "auc": None,
        "label": "Gewächs",
    }
    assert "Gewächs" in file.read_text("utf-8")


ARRAYS = {"mean": np.arange(5, dtype=np.float32), "counts": np.array([[1, 2], [3, 4]])}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_archive_are_read_by_name(save, tmp_path):
    save(tmp_path / "some.npz", **ARRAYS)
    found = read_arrays(tmp_path / "some.npz", "counts", "mean")
    assert list(found) == ["counts", "mean"]
    for name, values in found.items():
        np.testing.assert_array_equal(values, ARRAYS[name])


def _as_array(file):
    with file.open("wb") as stream:
        np.save(stream, np.zeros(3))


DAMAGES = {
    "missing": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "no archive": lambda file: file.write_bytes(b"no archive"),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:300]),
    "one array alone": _as_array,
    "another archive": lambda file: np.savez(file, mean=np.zeros(3)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_archive_is_one_sentence(damage, tmp_path):
    file = tmp_path / "some.npz"
    np.savez(file, **ARRAYS)
    damage(file)
    with pytest.raises(
        BrokenRun, match=r"some\.npz' is missing or damaged; copy its folder anew\.$"
    ):
        read_arrays(file, "mean", "counts")


@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_wrong_byte_causes_another_error(save, tmp_path):
    file = tmp_path / "some.npz"
    save(file, **ARRAYS)
    content, refused = file.read_bytes(), 0
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            read_arrays(file, "mean", "counts")
        except BrokenRun:
            refused += 1
    assert refused > len(content) / 2


UNWRITABLE = {
    ".": "'.' is a folder",
    "/": "'/' is a folder",
    "folder": "'folder' is a folder",
    "file/a.csv": r"'file/a\.csv' can't be written \(.+\)",
    "n" * 300: r"can't be written \(.+\)",
}


@pytest.mark.parametrize("name", UNWRITABLE, ids=lambda name: name[:10])
def test_a_file_that_can_not_be_written_is_one_sentence_before_and_after(
    tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match=UNWRITABLE[name]):
        check_writable(None, "-", name)
    with pytest.raises(BadInput, match=UNWRITABLE[name]):
        write_whole(Path(name), "text")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_check_leaves_a_file_as_it_was(tmp_path):
    (tmp_path / "there.csv").write_text("before")
    check_writable(tmp_path / "there.csv", str(tmp_path / "new" / "a.csv"))
    assert (tmp_path / "there.csv").read_text() == "before"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "there.csv"]


def test_a_link_is_followed_and_a_file_of_another_with_a_similar_name_stays(tmp_path):
    (tmp_path / "kept.csv.partial").write_text("precious")
    (tmp_path / "target").write_text("before")
    (tmp_path / "kept.csv").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "kept.csv", "after")
    assert (tmp_path / "kept.csv").is_symlink()
    assert (tmp_path / "target").read_text() == "after"
    assert (tmp_path / "kept.csv.partial").read_text() == "precious"
    assert {each.name for each in tmp_path.iterdir()} == {"kept.csv", "kept.csv.partial", "target"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as executor:
        read = executor.submit(pipe.read_text)
        check_writable(pipe)
        write_whole(pipe, "text")
        assert read.result() == "text"
    assert pipe.is_fifo()
