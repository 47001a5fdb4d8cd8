"""Overriding single fields of a recipe, as `--set head.dropout=0.3` does."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from falx.errors import BadInput


def set_field(content: Any, field: str, value: object, fields: Sequence[str]) -> None:
    """Set a dotted field of nested dictionaries and lists, in place.

    Args:
        fields: all dotted field names, to suggest the closest one to a misspelled name.

    Raises:
        BadInput: there is no such field.
    """
    *parents, last = field.split(".")
    for part in parents:
        content = _child(content, part, field, fields)
        if content is None:
            raise _unknown(field, fields)
    if isinstance(content, list):
        _child(content, last, field, fields)
        content[int(last)] = value
    elif isinstance(content, dict) and last in content:
        content[last] = value
    else:
        raise _unknown(field, fields)


def did_you_mean(misspelled: str, names: Sequence[str]) -> str:
    """A question that suggests the closest name, after a space; empty where none is close."""
    close = difflib.get_close_matches(misspelled, names, n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def parse_number(value: object) -> object:
    """The number in a text such as 1e-4, which YAML 1.1 reads as text; other values unchanged."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _child(content: Any, part: str, field: str, fields: Sequence[str]) -> Any:
    if isinstance(content, list) and part.isdigit() and int(part) < len(content):
        return content[int(part)]
    if isinstance(content, dict) and part in content:
        return content[part]
    raise _unknown(field, fields)


def _unknown(field: str, fields: Sequence[str]) -> BadInput:
    return BadInput(f"'{field}' is not a field of this recipe{did_you_mean(field, fields)}.")
