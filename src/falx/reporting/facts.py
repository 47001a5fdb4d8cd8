"""Data, weights, options and environment of a run: names and values for a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from falx.reporting.formatting import MISSING
from falx.runs.run import Record


def facts(record: Record) -> Iterator[tuple[str, str]]:
    """Name and value of each entry of a record that a report shows nowhere else."""
    content = {
        "data": record.data,
        "weights": record.weights,
        "detector": record.detector,
        "options": record.options,
        "backend": record.backend,
        "pretraining": record.pretraining,
        "finished": record.finished,
        **record.environment,
    }
    yield from _flat({name: value for name, value in content.items() if value})


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested entries with their parents' names before them."""
    for key, value in content.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, "" if key == "versions" else f"{name} ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or MISSING
        else:
            yield name, MISSING if value is None else str(value)
