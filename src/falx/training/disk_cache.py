"""A size-limited disk cache of arrays that can be recomputed, shared by runs and processes.

The cache is a folder of entries, each named by a digest of what it was computed from. When it would
exceed its limit, the least recently used entries are removed. Several processes may use one cache;
while a process holds the lock, no other opens, creates or removes entries.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from falx.errors import BadInput

GIGABYTE = 10**9
_TRASH = ".trash-"


def digest_of(*parts: Any) -> str:
    """A digest of arrays, bytes and JSON values, which names what is computed from them."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes()
        elif not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True).encode()
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:32]


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file to write that replaces `path` if the block succeeds; otherwise `path` is unchanged."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as stream:
            yield stream
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class RowStore:
    """An array on disk whose rows are written once, in any order.

    A second file flags the rows that are written. A row is flagged after it is written, so a killed
    process leaves no flagged row incomplete; flags beyond the end of the values are ignored. Two
    processes that write the same rows write the same bytes. The files stay open, so a store remains
    usable after another process removes it from its folder.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike):
        """Open or create an array.

        Args:
            folder: of its two files.
            name: of the files.
            shape: (rows, ...); only the number of rows may differ from an earlier use.
        """
        rows, *rest = shape
        self._row_bytes = int(np.prod(rest)) * np.dtype(dtype).itemsize
        self._values, self._flags = (
            _open(folder / f"{name}.{suffix}") for suffix in ("rows", "written")
        )
        for stream in (self._values, self._flags):
            weakref.finalize(self, stream.close)
        if _length(self._values) < _length(self._flags) * self._row_bytes:
            self._flags.truncate(0)
        _grow(self._values, rows * self._row_bytes)
        _grow(self._flags, rows)
        self._array = np.memmap(self._values, dtype, "r", shape=shape)
        self._written = np.fromfile(self._flags, bool, rows)

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Those of some rows that are not written yet: int (missing,)."""
        return rows[~self._written[rows]]

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Write some rows.

        Args:
            values: (rows, ...).

        Raises:
            OSError: the disk is full.
        """
        values = np.ascontiguousarray(values, self._array.dtype)
        _write(self._values, rows * self._row_bytes, values)
        _write(self._flags, rows, np.ones(len(rows), np.uint8))
        self._written[rows] = True

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some rows, in memory.

        Raises:
            ValueError: one is not written yet.
        """
        if len(self.missing(rows)):
            raise ValueError("`rows` must be written before they are read.")
        return self._array[rows]

    @property
    def array(self) -> np.ndarray:
        """All rows, as a read-only memory map of the file."""
        return self._array


class DiskCache:
    """A folder of entries, each a folder itself, with a limit on their total size.

    Attributes:
        lock: to be held while files of an entry are opened or created; reentrant.
    """

    def __init__(self, folder: Path, gigabytes: float) -> None:
        """Open or create a cache.

        Raises:
            BadInput: the limit is not a positive number, or the folder can't be created.
        """
        if not (math.isfinite(gigabytes) and gigabytes > 0):
            raise BadInput(f"--cache-gb must be above 0 and finite, got {gigabytes:g}.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"The folder '{folder}' can't be created ({error.strerror}); set FALX_CACHE to a "
                "folder that can be written."
            ) from error
        self.folder = folder
        self.limit = int(gigabytes * GIGABYTE)
        self.lock = FileLock(folder / ".lock")
        self._pinned: set[Path] = set()

    def entry(self, name: str) -> Path:
        """The folder of an entry, created if missing, and pinned: this object never removes it."""
        folder = self.folder / name
        with self.lock:
            folder.mkdir(exist_ok=True)
            os.utime(folder)
        self._pinned.add(folder)
        return folder

    def pin(self, file: Path) -> None:
        """Never remove the entry that holds a file; files outside the cache are ignored."""
        if file.is_relative_to(self.folder):
            self.entry(file.relative_to(self.folder).parts[0])

    def unpin(self, name: str) -> None:
        """Allow an entry to be removed when space is needed."""
        self._pinned.discard(self.folder / name)

    def make_room(self, needed: int) -> int:
        """Remove the least recently used entries until `needed` bytes can be written.

        Returns:
            The bytes that can be written; fewer than needed if pinned entries take the space.
        """
        with self.lock:
            for leftover in self.folder.glob(f"{_TRASH}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            entries = self._entries()
            unpinned = sorted(set(entries) - self._pinned, key=lambda entry: entry.stat().st_mtime)
            while unpinned and self._available(entries) < needed:
                oldest = unpinned.pop(0)
                self._remove(oldest)
                entries.remove(oldest)
            return self._available(entries)

    def advice(self, needed: int) -> str:
        """What to do so that `needed` bytes can be written besides the pinned entries."""
        limit = sum(_size(entry) for entry in self._pinned) + needed
        if limit > self.limit:
            return f"raise --cache-gb to at least {limit / GIGABYTE + 0.1:.1f}"
        return f"free {needed / GIGABYTE:.1f} GB on the disk of '{self.folder}'"

    def _remove(self, entry: Path) -> None:
        """Remove an entry atomically, so that none is ever incomplete."""
        trash = Path(tempfile.mkdtemp(prefix=_TRASH, dir=self.folder))
        entry.rename(trash / entry.name)
        shutil.rmtree(trash, ignore_errors=True)

    def _available(self, entries: Collection[Path]) -> int:
        free = shutil.disk_usage(self.folder).free
        return max(0, min(self.limit - sum(map(_size, entries)), free))

    def _entries(self) -> list[Path]:
        paths = self.folder.iterdir()
        return [path for path in paths if path.is_dir() and not path.name.startswith(".")]


def _open(path: Path) -> BinaryIO:
    """Open a file to read and write, unbuffered; create it if missing."""
    path.touch()
    return path.open("r+b", buffering=0)


def _length(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size


def _grow(stream: BinaryIO, size: int) -> None:
    """Extend a file to at least `size` bytes; the extension is sparse until it is written."""
    if _length(stream) < size:
        stream.truncate(size)


def _write(stream: BinaryIO, offsets: np.ndarray, values: np.ndarray) -> None:
    for offset, value in zip(offsets.tolist(), values, strict=True):
        stream.seek(offset)
        remaining = memoryview(value.tobytes())
        while remaining:
            remaining = remaining[stream.write(remaining) :]


def _size(folder: Path) -> int:
    """Bytes that a folder takes on disk; sparse parts of files take none."""
    return sum(_disk_usage(file) for file in folder.glob("**/*"))


def _disk_usage(file: Path) -> int:
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0  # Removed since it was listed.
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size
