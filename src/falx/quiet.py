"""Keeping other libraries' loggers and warnings quiet for a while."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(level: int, *names: str | logging.Logger) -> Iterator[None]:
    """Drop what this thread logs below a level inside the block, by the loggers of these names.

    For libraries that log what falx says in its own words. Their loggers are as before afterwards.
    A logger that no name gives, since its library made it by itself, is taken as it is.
    """
    thread = threading.get_ident()

    def is_kept(record: logging.LogRecord) -> bool:
        return record.levelno >= level or threading.get_ident() != thread

    loggers = [
        each if isinstance(each, logging.Logger) else logging.getLogger(each) for each in names
    ]
    for logger in loggers:
        logger.addFilter(is_kept)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_kept)


class _IgnoredWarnings:
    """Ignores warnings while any thread is inside.

    The filters of warnings belong to the process: the first thread sets them aside, the last one
    sets them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._threads:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._threads += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                self._filters.__exit__(None, None, None)


ignored_warnings = _IgnoredWarnings()
"""Ignores warnings inside a `with` block, in any number of threads."""
