"""From a file to slices: JPEG, PNG, BMP, TIFF, WebP, DICOM and NIfTI.

The format is determined by the leading bytes, never by the name and never by trying another
reader. Size and completeness are checked in the headers before anything is decoded.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from falx.data import raster
from falx.data.slices import Limits, Slice
from falx.errors import BadInput, UnreadableImage

__all__ = ["Limits", "Slice", "find_files", "read_slices"]

_HEAD = 512
"""Bytes that tell whether a file is DICOM."""

_NOT_IMAGES = {".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".pdf", ".html", ".yaml", ".yml",
              ".db", ".ini", ".py", ".log", ".parquet"}  # fmt: skip


def read_slices(
    path: str | Path, *, limits: Limits | None = None, content: bytes | None = None
) -> list[Slice]:
    """All slices of a file, in order.

    Args:
        content: the file's bytes, where the caller has them already.

    Raises:
        UnreadableImage: the file is not an image, damaged, truncated, or beyond the limits.
        MissingExtra: it needs a reader that is not installed.
    """
    path, limits = Path(path), limits or Limits()
    content = read_content(path, limits) if content is None else content
    _check_size(path, len(content), limits)
    if is_dicom(content):
        from falx.data import dicom

        return dicom.read(path, content, limits)
    kind = raster.kind_of(content)
    if kind:
        return raster.read(path, content, kind, limits)
    if is_nifti(content):
        from falx.data import nifti

        return nifti.read(path, content, limits)
    raise UnreadableImage(
        f"'{path}' is not a JPEG, PNG, BMP, TIFF, WebP, DICOM or NIfTI image, whatever its name "
        "says; replace or remove it."
    )


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """Files, those in folders at any depth, and those that glob patterns match, each once.

    They come in the order of the paths, and those of one folder or pattern are sorted.

    In folders, hidden files and those with a suffix of text or tables are skipped; files without a
    suffix are kept, since DICOM files often have none.

    Raises:
        BadInput: a path does not exist or can't be opened, or a pattern matches nothing.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(sorted(_expanded(path))))
    return list(found)


def is_candidate(file: Path) -> bool:
    """Whether a file in a folder may be an image by its name: neither hidden, text nor a table."""
    return not file.name.startswith(".") and file.suffix.lower() not in _NOT_IMAGES


def _expanded(path: str | Path) -> Iterator[Path]:
    named = Path(path)
    if named.is_dir():
        yield from _inside(named)
    elif named.exists():
        yield named
    elif glob.has_magic(str(path)):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        if not matches:
            raise BadInput(f"The pattern '{path}' matches no file; check it and quote it.")
        for match in matches:
            yield from _inside(match) if match.is_dir() else [match]
    else:
        raise BadInput(f"'{path}' does not exist; name a file, a folder or a pattern.")


def _inside(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise BadInput(
            f"The folder '{error.filename}' can't be opened ({error.strerror}); allow reading it."
        ) from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(parent) / name
            if is_candidate(file):
                yield file


def read_content(path: Path, limits: Limits) -> bytes:
    """The bytes of a file.

    Raises:
        UnreadableImage: it can't be opened, is no regular file, empty, or beyond the limits.
    """
    try:
        status = path.stat()
        # Reading a pipe would block forever.
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImage(f"'{path}' is not a regular file; name an image file.")
        _check_size(path, status.st_size, limits)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UnreadableImage(
            f"'{path}' does not exist; check its name, or copy it anew."
        ) from error
    except OSError as error:
        raise UnreadableImage(
            f"'{path}' can't be opened ({error.strerror}); allow reading it."
        ) from error


def _check_size(path: Path, size: int, limits: Limits) -> None:
    if not size:
        raise UnreadableImage(f"'{path}' is empty (0 bytes); copy it anew.")
    if size > limits.file_bytes:
        raise UnreadableImage(
            f"'{path}' has {size / 1e6:.0f} MB, more than the {limits.file_bytes / 1e6:.0f} MB "
            "that falx reads; make it smaller."
        )


def is_dicom(content: bytes) -> bool:
    """Whether a file is DICOM, with or without the preamble, by its first bytes."""
    # The preamble may hold the header of a TIFF (PS3.10 7.1).
    return content[128:132] == b"DICM" or (not raster.kind_of(content) and _is_bare_dicom(content))


def holds_dicom(file: Path) -> bool:
    """Whether a file is DICOM, by its first bytes; not if it can't be opened, or is none."""
    try:
        # Reading a pipe would block forever.
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            return is_dicom(stream.read(_HEAD))
    except OSError:
        # It is named when it is read.
        return False


def _is_bare_dicom(content: bytes) -> bool:
    """Whether a file without the preamble begins with an element of group 0002 or 0008."""
    group = int.from_bytes(content[:2], "little")
    element = int.from_bytes(content[2:4], "little")
    explicit = content[4:6].isalpha() and content[4:6].isupper()
    implicit = int.from_bytes(content[4:8], "little") < 1024
    return group in (0x0002, 0x0008) and element < 0x0100 and (explicit or implicit)


def is_nifti(content: bytes) -> bool:
    """Whether a file is NIfTI, or packed by gzip and so may be, by its first bytes."""
    if content[:2] == b"\x1f\x8b":
        return True
    return content[344:348] in (b"n+1\0", b"ni1\0") or content[4:8] in (b"n+2\0", b"ni2\0")
