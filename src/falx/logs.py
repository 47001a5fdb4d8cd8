"""A run's own log, and keeping native code from talking between its lines."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "module": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class _LogFile(logging.FileHandler):
    # The name and the argument are those of `logging`.
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        """A log that can't be written stops the run, as any other file of it would."""
        raise


@contextmanager
def logged_to(file: Path) -> Iterator[None]:
    """Append what falx logs inside the block to a file."""
    logger = logging.getLogger("falx")
    handler = _LogFile(file, encoding="utf-8")
    handler.setFormatter(_JsonLines())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def native_silence() -> Iterator[None]:
    """Keep what native code writes to standard error off it, as TensorFlow does on being loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
