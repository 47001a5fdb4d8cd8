"""The files that falx writes and reads back: JSON, text written whole, and NumPy archives."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.errors import BadInput, BrokenRun

STANDARD_OUTPUT = Path("-")

_DAMAGED = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise of archives with wrong bytes, or of what is no archive."""


def to_json(value: Any) -> Any:
    """A value as JSON can hold it.

    Dataclasses become objects of their fields, or what their own `as_dict` makes of them; arrays
    and tuples become lists, paths text, and what is not a finite number null.
    """
    if hasattr(value, "as_dict"):
        return to_json(value.as_dict())
    if is_dataclass(value):
        return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): to_json(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return to_json(value.tolist())
    if isinstance(value, list | tuple):
        return [to_json(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def dump(content: Any) -> str:
    """A value as the text of a JSON file that any reader understands."""
    return json.dumps(to_json(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(file: Path, content: Any) -> None:
    """Write a value as a JSON file."""
    # A path that is not valid Unicode is escaped, which JSON reads back as it was.
    file.write_text(dump(content), "utf-8", errors="backslashreplace")


def write_whole(file: Path, text: str) -> None:
    """Write text to a file, whole or not at all, or to standard output for `-`.

    The folder of the file is made where it is missing. A link is followed, and what is no regular
    file, such as a pipe, is written to as it is.

    Raises:
        BadInput: it can't be written, or is a folder.
    """
    if file == STANDARD_OUTPUT:
        sys.stdout.write(text.encode("utf-8", "backslashreplace").decode())
        return
    _check_no_folder(file)
    # A file name that is not valid Unicode must not keep the rest from being written.
    content = text.encode("utf-8", "backslashreplace")
    try:
        if _is_special(file):
            file.write_bytes(content)
            return
        target = Path(os.path.realpath(file))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".falx-", dir=target.parent) as folder:
            temporary = Path(folder) / "whole"
            temporary.write_bytes(content)
            os.replace(temporary, target)
    except OSError as error:
        raise _unwritable(file, error) from error


def check_writable(*files: str | Path | None) -> None:
    """Check that `write_whole` can write files, before the work whose results they would hold.

    Their folders are made. None and standard output, `-`, can always be written.

    Raises:
        BadInput: one can't be written, or is a folder.
    """
    for file in (Path(each) for each in files if each):
        if file == STANDARD_OUTPUT:
            continue
        _check_no_folder(file)
        if _is_special(file):
            continue
        try:
            target = Path(os.path.realpath(file))
            target.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryDirectory(prefix=".falx-", dir=target.parent).cleanup()
            # A name that is too long is told by this alone.
            with suppress(FileNotFoundError):
                target.lstat()
        except OSError as error:
            raise _unwritable(file, error) from error


def _check_no_folder(file: Path) -> None:
    # Unlike Path.is_dir, it has no error where the name is too long.
    if os.path.isdir(file):
        raise BadInput(f"'{file}' is a folder, and can't be written; name a file.")


def _is_special(file: Path) -> bool:
    """Whether there is something that is no regular file, such as a pipe or a device."""
    return os.path.exists(file) and not os.path.isfile(file)


def _unwritable(file: Path, error: OSError) -> BadInput:
    return BadInput(
        f"'{file}' can't be written ({error.strerror}); make room, get permission, or name another."
    )


def read_arrays(file: Path, *names: str) -> dict[str, np.ndarray]:
    """Arrays of a NumPy archive (.npz), by name.

    Raises:
        BrokenRun: the file is missing or damaged, or lacks one of them.
    """
    with _archive(file) as arrays:
        return {name: arrays[name] for name in names}


def array_names(file: Path) -> list[str]:
    """Names of the arrays of a NumPy archive (.npz).

    Raises:
        BrokenRun: the file is missing or damaged.
    """
    with _archive(file) as arrays:
        return list(arrays)


@contextmanager
def _archive(file: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """An open archive; what fails while it is read is one error."""
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            yield arrays
    except _DAMAGED as error:
        raise BrokenRun(f"'{file}' is missing or damaged; copy its folder anew.") from error
