"""The log file of a run, and redirecting what native code writes to standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO


class _JsonFormatter(logging.Formatter):
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


class _StrictFileHandler(logging.FileHandler):
    # The name and the argument are those of `logging`.
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        """Stop the run when its log can't be written, as with any other file of the run."""
        raise


@contextmanager
def log_to_file(file: Path) -> Iterator[None]:
    """Append what falx logs inside the block to a file, as JSON lines."""
    logger = logging.getLogger("falx")
    handler = _StrictFileHandler(file, encoding="utf-8")
    handler.setFormatter(_JsonFormatter())
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
def redirect_stderr(file: BinaryIO) -> Iterator[None]:
    """Send standard error to a file, that of native code and of child processes too."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextmanager
def silence_native_stderr() -> Iterator[None]:
    """Discard what native code writes to standard error, as TensorFlow does when it is loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with Path(os.devnull).open("wb") as null, redirect_stderr(null):
        yield


def import_keras() -> None:
    """Load Keras and its backend, without what TensorFlow writes to standard error meanwhile."""
    with silence_native_stderr():
        import keras  # noqa: F401
