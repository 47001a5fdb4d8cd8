"""Unpacking an archive that was made to do harm: one sentence, and nothing out of place."""

from __future__ import annotations

import struct
import warnings
import zipfile

import pytest

from falx.data.slices import Limits
from falx.data.unpacking import unpack
from falx.errors import BadInput

FILES = {"Top/no/1.jpg": b"first", "Top/yes/2.jpg": b"second", "Top/README": b"left out"}


def archive(folder, files, **how):
    """A ZIP archive of (name, content), names as they are given."""
    path = folder / "set.zip"
    pairs = files.items() if isinstance(files, dict) else files
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", **how) as opened:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, content in pairs:
            opened.writestr(name, content)
    return path


def written(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folders_that_are_asked_for_are_written_without_hidden_files(tmp_path):
    path = archive(tmp_path, FILES | {"Top/no/.DS_Store": b"!", "Top/yes/.git/1.jpg": b"!"})
    assert unpack(path, tmp_path / "set", ["no", "yes"]) == 2
    assert written(tmp_path / "set") == {"no/1.jpg", "yes/2.jpg"}
    assert (tmp_path / "set" / "yes" / "2.jpg").read_bytes() == b"second"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([("Other/no/1.jpg", b"!")], "holds 'Other' and 'Top' at its top, not a single folder"),
        ([("README", b"!")], "holds 'README' and 'Top' at its top"),
        ([("Top/no/1.jpg", b"!")], r"holds 'Top/no/1\.jpg' twice"),
        ([("Top/no/1.jpg/2.jpg", b"!")], r"holds 'Top/no/1\.jpg' as a file and as a folder"),
        ([("Top/no/1.jpg/", b"")], r"holds 'Top/no/1\.jpg' as a file and as a folder"),
        ([("Top/no/" + "n" * 300, b"!")], r"holds a name of 307 characters, 'Top/no/n+\.\.\.'"),
        ([("Top/no/\x1b[2J.jpg", b"!")], r"control characters, 'Top/no/\\x1b"),
        ([(".", b"!")], r"holds '\.', outside of its folder"),
    ],
    ids=["two tops", "a file at the top", "twice", "in a file", "both", "long", "control", "dot"],
)
def test_an_archive_that_none_should_be_is_refused_before_anything_is_written(
    tmp_path, more, sentence
):
    path = archive(tmp_path, [*FILES.items(), *more])
    with pytest.raises(BadInput, match=rf"^The archive .*{sentence}"):
        unpack(path, tmp_path / "set", ["no", "yes"])
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("kind", ["encrypted", "lzma"])
def test_a_member_that_can_not_be_read_is_refused(tmp_path, kind):
    path = archive(tmp_path, FILES, compression=zipfile.ZIP_LZMA if kind == "lzma" else 0)
    if kind == "encrypted":
        content = path.read_bytes()
        # Bit 0 of the flags, in the table of contents.
        first = content.index(b"PK\1\2") + 8
        path.write_bytes(content[:first] + b"\1" + content[first + 1 :])
    with pytest.raises(BadInput, match=r"^'Top/no/1\.jpg' of the archive is encrypted, or"):
        unpack(path, tmp_path / "set", ["no", "yes"])
    assert not (tmp_path / "set").exists()


def test_a_name_that_is_no_text_is_one_sentence(tmp_path):
    path = archive(tmp_path, {"Top/no/\xe9.jpg": b"!"})
    path.write_bytes(path.read_bytes().replace("\xe9".encode(), b"\xff\xff"))
    with pytest.raises(BadInput, match="not a whole ZIP archive"):
        unpack(path, tmp_path / "set", ["no"])


def test_what_would_fill_the_disk_is_refused(tmp_path):
    path = archive(
        tmp_path, {"Top/no/1": bytes(600_000), "Top/yes/2": bytes(400_001)}, compression=8
    )
    assert path.stat().st_size < 2000
    with pytest.raises(BadInput, match="unpack to 1,000,001 bytes, more than the 1,000,000 that"):
        unpack(path, tmp_path / "set", ["no", "yes"], limits=Limits(file_bytes=1_000_000))
    assert not (tmp_path / "set").exists()
    assert unpack(path, tmp_path / "set", ["no"], limits=Limits(file_bytes=1_000_000)) == 1


def test_no_more_is_written_than_the_table_of_contents_states(tmp_path):
    path = archive(tmp_path, {"Top/no/1.jpg": bytes(1_000_000)}, compression=8)
    real, stated = struct.pack("<I", 1_000_000), struct.pack("<I", 10)
    assert path.read_bytes().count(real) == 2
    path.write_bytes(path.read_bytes().replace(real, stated))
    with pytest.raises(BadInput, match="not a whole ZIP archive"):
        unpack(path, tmp_path / "set", ["no"], limits=Limits(file_bytes=1000))
    assert (tmp_path / "set" / "no" / "1.jpg").stat().st_size <= 10


def test_a_target_that_can_not_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match=r"^'set\.zip' can't be unpacked \(.*\); make room"):
        unpack(archive(tmp_path, FILES), tmp_path / "file", ["no"])
