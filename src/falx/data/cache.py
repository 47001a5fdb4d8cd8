"""A cache of facts keyed by the content of files, so that a second look costs only hashing."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import platformdirs

Rows = list[dict[str, Any]]
_ASK_AT_ONCE = 500


def cache_folder() -> Path:
    """Where falx keeps what it can compute again: FALX_CACHE, or the system's place for caches."""
    named = os.environ.get("FALX_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("falx", appauthor=False))


class FactCache:
    """Rows of facts by the SHA-256 of the file that they were read from.

    A damaged or unwritable cache file raises sqlite3.Error; the caller decides what that means.
    """

    def __init__(self, folder: Path, version: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"facts-{version}.sqlite"
        with self._connection() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS facts (sha256 TEXT PRIMARY KEY, rows TEXT NOT NULL)"
            )

    def get(self, keys: Sequence[str]) -> dict[str, Rows]:
        """What is known of those files."""
        found: dict[str, Rows] = {}
        with self._connection() as connection:
            for start in range(0, len(keys), _ASK_AT_ONCE):
                some = list(keys[start : start + _ASK_AT_ONCE])
                marks = ",".join("?" * len(some))
                # Only question marks are filled in.
                query = f"SELECT sha256, rows FROM facts WHERE sha256 IN ({marks})"  # noqa: S608
                found.update(
                    (key, json.loads(text)) for key, text in connection.execute(query, some)
                )
        return found

    def put(self, entries: Mapping[str, Rows]) -> None:
        """Remember these; an entry that is known already is replaced."""
        with self._connection() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                [(key, json.dumps(rows)) for key, rows in entries.items()],
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            yield connection
