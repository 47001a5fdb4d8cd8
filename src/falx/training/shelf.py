"""Arrays that can be computed again, kept on disk within a bound and shared by later runs.

A shelf is a folder of entries named by what they were computed from, so that whoever needs the same
finds it. When it would grow beyond its bound, the entries unused for longest are removed. Several
processes may use a shelf: who holds its lock finds entries whole and alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from falx.errors import BadInput

GIGABYTE = 10**9
_GONE = ".gone-"


def digest_of(*parts: Any) -> str:
    """A name for what is computed from these: arrays, bytes, or what JSON can hold."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes()
        elif not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True).encode()
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:32]


class RowStore:
    """An array on disk whose rows are filled in any order; what is filled stays filled.

    Rows are written before they are marked, so a process that dies leaves no row that is marked
    and not whole; marks of rows that are gone count for nothing. Two processes that fill the same
    rows write the same bytes. Files stay open, so a store that another process removes from its
    folder still serves who has it.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike):
        """Open or begin an array.

        Args:
            folder: where its two files lie.
            name: of the files.
            shape: (rows, ...); whenever it is opened, only the rows may be more or fewer.
        """
        rows, *rest = shape
        self._row_bytes = int(np.prod(rest)) * np.dtype(dtype).itemsize
        self._values, self._marks = (
            _opened(folder / f"{name}.{kind}") for kind in ("rows", "marks")
        )
        for stream in (self._values, self._marks):
            weakref.finalize(self, stream.close)
        if _length(self._values) < _length(self._marks) * self._row_bytes:
            self._marks.truncate(0)
        _grow(self._values, rows * self._row_bytes)
        _grow(self._marks, rows)
        self._array = np.memmap(self._values, dtype, "r", shape=shape)
        self._filled = np.fromfile(self._marks, bool, rows)

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Those of some rows that were never written: int (missing,)."""
        return rows[~self._filled[rows]]

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Fill some rows; (rows, ...) of the array's type.

        Raises:
            OSError: the disk is full.
        """
        values = np.ascontiguousarray(values, self._array.dtype)
        _write(self._values, rows * self._row_bytes, values)
        _write(self._marks, rows, np.ones(len(rows), np.uint8))
        self._filled[rows] = True

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some rows, all of which were written, in memory."""
        if len(self.missing(rows)):
            raise ValueError("Rows were asked for that were never written.")
        return self._array[rows]

    def whole(self) -> np.ndarray:
        """The array itself, as a read-only map of the file."""
        return self._array


class Shelf:
    """A folder of entries, each a folder itself, together no larger than a bound.

    Attributes:
        lock: to be held while the files of an entry are opened or made; may be taken repeatedly.
    """

    def __init__(self, folder: Path, gigabytes: float) -> None:
        """Open or begin a shelf.

        Raises:
            BadInput: the bound is no amount, or the folder can't be made.
        """
        if not (math.isfinite(gigabytes) and gigabytes > 0):
            raise BadInput(f"--bank-gb must be above 0 and finite, got {gigabytes:g}.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"The folder '{folder}' can't be made ({error.strerror}); set FALX_CACHE to a "
                "folder that can be written."
            ) from error
        self.folder = folder
        self.limit = int(gigabytes * GIGABYTE)
        self.lock = FileLock(folder / ".lock")
        self._in_use: set[Path] = set()

    def entry(self, name: str) -> Path:
        """The folder of an entry, made where it is missing; this shelf will not remove it."""
        folder = self.folder / name
        with self.lock:
            folder.mkdir(exist_ok=True)
            os.utime(folder)
        self._in_use.add(folder)
        return folder

    def hold(self, file: Path) -> None:
        """Do not remove the entry that a file lies in, if it lies on this shelf at all."""
        if file.is_relative_to(self.folder):
            self.entry(file.relative_to(self.folder).parts[0])

    def release(self, name: str) -> None:
        """Let an entry be removed when room is needed."""
        self._in_use.discard(self.folder / name)

    def make_room(self, needed: int) -> int:
        """Remove the entries unused for longest until so many bytes can be written.

        Returns:
            The bytes that can be written, which may be fewer: entries in use stay.
        """
        with self.lock:
            for leftover in self.folder.glob(f"{_GONE}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            entries = self._entries()
            unused = sorted(set(entries) - self._in_use, key=lambda entry: entry.stat().st_mtime)
            while unused and self._room(entries) < needed:
                oldest = unused.pop(0)
                self._remove(oldest)
                entries.remove(oldest)
            return self._room(entries)

    def advice(self, needed: int) -> str:
        """What to do so that so many bytes find room beside the entries in use."""
        bound = sum(_size(entry) for entry in self._in_use) + needed
        if bound > self.limit:
            return f"raise --bank-gb to at least {bound / GIGABYTE + 0.1:.1f}"
        return f"free {needed / GIGABYTE:.1f} GB on the disk of '{self.folder}'"

    def _remove(self, entry: Path) -> None:
        """Take an entry off the shelf in one step, so that none is ever half there."""
        gone = Path(tempfile.mkdtemp(prefix=_GONE, dir=self.folder))
        entry.rename(gone / entry.name)
        shutil.rmtree(gone, ignore_errors=True)

    def _room(self, entries: Collection[Path]) -> int:
        free = shutil.disk_usage(self.folder).free
        return max(0, min(self.limit - sum(map(_size, entries)), free))

    def _entries(self) -> list[Path]:
        found = self.folder.iterdir()
        return [path for path in found if path.is_dir() and not path.name.startswith(".")]


def _opened(path: Path) -> BinaryIO:
    """A file to read and write, made where it is missing; unbuffered."""
    path.touch()
    return path.open("r+b", buffering=0)


def _length(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size


def _grow(stream: BinaryIO, size: int) -> None:
    """Make a file at least so long; what is added takes no room on disk until it is written."""
    if _length(stream) < size:
        stream.truncate(size)


def _write(stream: BinaryIO, offsets: np.ndarray, values: np.ndarray) -> None:
    for offset, value in zip(offsets.tolist(), values, strict=True):
        stream.seek(offset)
        left = memoryview(value.tobytes())
        while left:
            left = left[stream.write(left) :]


def _size(folder: Path) -> int:
    """Bytes that a folder takes on disk; the unwritten parts of files take none."""
    return sum(_on_disk(file) for file in folder.glob("**/*"))


def _on_disk(file: Path) -> int:
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0  # Removed since it was listed.
    return found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
