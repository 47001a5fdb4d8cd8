"""One way from results to JSON, and one way back from NumPy archives."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.errors import BrokenRun

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


def read_arrays(file: Path, *names: str) -> dict[str, np.ndarray]:
    """Arrays of a NumPy archive (.npz), by name.

    Raises:
        BrokenRun: the file is missing or damaged, or lacks one of them.
    """
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            return {name: arrays[name] for name in names}
    except _DAMAGED as error:
        raise BrokenRun(f"'{file}' is missing or damaged; copy its folder anew.") from error
