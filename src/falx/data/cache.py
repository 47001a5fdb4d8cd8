"""A cache of facts by content of files, so that cataloging them again costs only hashing."""

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
_QUERY_SIZE = 500


def cache_folder() -> Path:
    """The folder for what falx can recompute: FALX_CACHE, or the system's folder for caches."""
    named = os.environ.get("FALX_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("falx", appauthor=False))


class FactCache:
    """Rows of facts by the SHA-256 of the file that they were read from.

    Every method raises sqlite3.Error where the cache file is damaged or can't be written.
    """

    def __init__(self, folder: Path, version: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"facts-{version}.sqlite"
        with self._connection() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS facts (sha256 TEXT PRIMARY KEY, rows TEXT NOT NULL)"
            )

    def get(self, keys: Sequence[str]) -> dict[str, Rows]:
        """The rows of those files that are in the cache."""
        found: dict[str, Rows] = {}
        with self._connection() as connection:
            for start in range(0, len(keys), _QUERY_SIZE):
                batch = list(keys[start : start + _QUERY_SIZE])
                placeholders = ",".join("?" * len(batch))
                # Only question marks are inserted.
                query = f"SELECT sha256, rows FROM facts WHERE sha256 IN ({placeholders})"  # noqa: S608
                found.update(
                    (key, json.loads(text)) for key, text in connection.execute(query, batch)
                )
        return found

    def put(self, entries: Mapping[str, Rows]) -> None:
        """Store rows by digest, replacing those that are there already."""
        with self._connection() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                [(key, json.dumps(rows)) for key, rows in entries.items()],
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            yield connection
