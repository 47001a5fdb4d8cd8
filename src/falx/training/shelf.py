"""Arrays that can be computed again, kept on disk within a bound and shared by later runs.

A shelf is a folder of entries named by what they were computed from, so that whoever needs the same
finds it. When it would grow beyond its bound, the entries unused for longest are removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from falx.errors import BadInput

GIGABYTE = 10**9


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
    and not whole. Two processes that fill the same rows write the same bytes. Files stay open, so
    a store that another process removes from its folder still serves who has it.
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
        self._values = _opened(folder / f"{name}.rows", rows * self._row_bytes)
        self._marks = _opened(folder / f"{name}.marks", rows)
        for stream in (self._values, self._marks):
            weakref.finalize(self, stream.close)
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
    """A folder of entries, each a folder itself, together no larger than a bound."""

    def __init__(self, folder: Path, gigabytes: float) -> None:
        if gigabytes <= 0:
            raise BadInput(f"--bank-gb must be above 0, got {gigabytes:g}.")
        self.folder = folder
        self.limit = int(gigabytes * GIGABYTE)
        self._in_use: set[Path] = set()

    def entry(self, name: str) -> Path:
        """The folder of an entry, made where it is missing; it stays as long as this shelf."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        self._in_use.add(folder)
        return folder

    def release(self, name: str) -> None:
        """Let an entry be removed when room is needed."""
        self._in_use.discard(self.folder / name)

    def make_room(self, needed: int) -> int:
        """Remove the entries unused for longest until so many bytes can be written.

        Returns:
            The bytes that can be written, which may be fewer: entries in use stay.
        """
        sizes = {entry: _size(entry) for entry in self._entries()}
        unused = sorted(set(sizes) - self._in_use, key=lambda entry: entry.stat().st_mtime)
        while unused and self._room(sizes) < needed:
            oldest = unused.pop(0)
            shutil.rmtree(oldest, ignore_errors=True)
            del sizes[oldest]
        return self._room(sizes)

    def _room(self, sizes: dict[Path, int]) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        return max(0, min(self.limit - sum(sizes.values()), free))

    def _entries(self) -> Iterator[Path]:
        return (path for path in self.folder.glob("*") if path.is_dir())


def _opened(path: Path, size: int) -> BinaryIO:
    """A file of at least that size, made of nothing where it is missing; unbuffered."""
    path.touch()
    stream = path.open("r+b", buffering=0)
    if path.stat().st_size < size:
        stream.truncate(size)
    return stream


def _write(stream: BinaryIO, offsets: np.ndarray, values: np.ndarray) -> None:
    for offset, value in zip(offsets.tolist(), values, strict=True):
        stream.seek(offset)
        left = memoryview(value.tobytes())
        while left:
            left = left[stream.write(left) :]


def _size(folder: Path) -> int:
    """Bytes that a folder takes on disk; the unwritten parts of files take none."""
    return sum(_on_disk(file.stat()) for file in folder.glob("**/*") if file.is_file())


def _on_disk(found: os.stat_result) -> int:
    return found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
