"""Keeping other libraries' loggers quiet for a while."""

from __future__ import annotations

import logging
import threading
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
