"""The folder that a training leaves behind: written under a temporary name, renamed when whole.

A folder without the suffix `.partial` is whole. A `.partial` one holds the request that began it;
the same request takes it up again.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from falx.errors import BadInput

logger = logging.getLogger(__name__)

RUNS = Path("runs")
PARTIAL = ".partial"
FILLING = ".filling"
CHECKPOINTS = "checkpoints"
_REQUEST = "request.json"
_LOCK = ".lock"


@contextmanager
def run_folder(
    out: Path | None, name: str, request: Mapping[str, Any], *, resume: bool | None = None
) -> Iterator[Path]:
    """A folder to fill, renamed to its final name when the block ends well.

    When it does not, the folder stays to be taken up again, unless there is no checkpoint in it.

    Args:
        out: the final folder, or None for `runs/<time>-<name>`.
        request: everything that decides the result; ready for JSON.
        resume: True demands an unfinished folder of the same request, False starts anew, None
            resumes where there is one.

    Yields:
        The folder under its temporary name; `final_path` gives the other.

    Raises:
        BadInput: the final folder exists, another process is filling it, an unfinished one was
            begun with another request, or there is none to resume.
    """
    if out is not None:
        check_name(out)
    text = json.dumps(request, indent=2, sort_keys=True)
    unfinished = _unfinished(out, text, resume)
    folder = unfinished or _fresh(out, name)
    _make(folder)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BadInput(f"Another falx is at work on '{folder}'; wait for it or stop it.") from error
    try:
        if not unfinished:
            _empty(folder)
        (folder / _REQUEST).write_text(text, "utf-8")
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder / CHECKPOINTS)
        (folder / _REQUEST).unlink()
    except BaseException:
        kept = folder / CHECKPOINTS
        if kept.is_dir() and not any(path.is_file() for path in kept.rglob("*")):
            shutil.rmtree(folder)
        raise
    finally:
        lock.release()
    (folder / _LOCK).unlink(missing_ok=True)
    folder.rename(final_path(folder))


def check_name(out: Path) -> None:
    """See that a folder can be made under this name.

    Raises:
        BadInput: it has none, as `.` and `/` have not.
    """
    if not out.name or out.name == "..":
        raise BadInput(f"'{out}' is no name for a new folder; give one, such as runs/mine.")


def check_free(out: Path, what: str) -> None:
    """See that a folder can be made.

    Raises:
        BadInput: it has no name, or exists.
    """
    check_name(out)
    if out.exists():
        raise BadInput(f"'{out}' exists already; name another folder for {what} or remove it.")


def final_path(folder: Path) -> Path:
    """The name that a folder has, or will have, when whole."""
    return folder.with_name(folder.name.removesuffix(PARTIAL))


@contextmanager
def new_folder(out: Path, what: str) -> Iterator[Path]:
    """A folder to fill in one go: renamed when the block ends well, removed when it does not.

    Raises:
        BadInput: `out` exists.
    """
    check_free(out, what)
    folder = out.with_name(out.name + FILLING)
    shutil.rmtree(folder, ignore_errors=True)
    _make(folder)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    folder.rename(out)


def stamped(name: str) -> Path:
    """A folder below `runs/` that does not exist yet, named by the time."""
    stem = RUNS / f"{datetime.now():%Y-%m-%d-%H%M}-{name}"
    candidates = (stem.with_name(f"{stem.name}{suffix}") for suffix in _suffixes())
    return next(path for path in candidates if not (path.exists() or _partial(path).exists()))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(
            f"'{folder}' can't be made, since a file is in its way; name another folder with --out."
        ) from error


def _empty(folder: Path) -> None:
    """Remove what an earlier training left, but not the lock that is held on it."""
    for item in folder.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        elif item.name != _LOCK:
            item.unlink()


def _suffixes() -> Iterator[str]:
    yield ""
    number = 2
    while True:
        yield f"-{number}"
        number += 1


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


def _fresh(out: Path | None, name: str) -> Path:
    if out is not None and out.exists():
        raise BadInput(f"'{out}' exists already; name another folder with --out or remove it.")
    return _partial(out or stamped(name))


def _unfinished(out: Path | None, request: str, resume: bool | None) -> Path | None:
    """The unfinished folder to go on with, if there is one and it is wanted."""
    candidates = sorted(RUNS.glob(f"*{PARTIAL}")) if out is None else [_partial(out)]
    same = [folder for folder in candidates if _request_of(folder) == request]
    if same and resume is not False:
        logger.warning("Going on with the unfinished %s.", same[-1])
        return same[-1]
    if resume:
        raise BadInput(
            "There is no unfinished training of this request to resume; leave out --resume, or "
            "repeat the command that began it, word for word."
        )
    if out is not None and _partial(out).exists() and resume is None:
        raise BadInput(
            f"'{_partial(out)}' is an unfinished training with other settings; remove it, pass "
            "--no-resume to start over, or name another folder with --out."
        )
    return None


def _request_of(folder: Path) -> str | None:
    file = folder / _REQUEST
    return file.read_text("utf-8") if file.is_file() else None
