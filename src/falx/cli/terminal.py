"""What falx says on a terminal, and what it writes to files and pipes.

Tables that answer a question go to standard output; progress, warnings and remarks go to standard
error, so that pipes stay clean.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from falx.logs import import_keras
from falx.progress import Listener, Progress
from falx.serialization import STANDARD_OUTPUT

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


def show_log(verbose: bool) -> None:
    """Show warnings of the library, or with `verbose` everything it logs."""
    from rich.logging import RichHandler

    handler = RichHandler(console=err, show_time=False, show_path=False, markup=False)
    handler.setLevel(logging.INFO if verbose else logging.WARNING)
    logger = logging.getLogger("falx")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)


@contextmanager
def progress(*, narrated: bool = False) -> Iterator[Listener]:
    """A live bar for each task on standard error; nothing where that is not a terminal.

    Args:
        narrated: where it is not, a line for each task.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.table import Column

    columns = (
        TextColumn("{task.description:<10}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
        # The rest of the line, cut where it is too long.
        TextColumn(
            "{task.fields[detail]}",
            style="dim",
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
    )
    with Bars(*columns, console=err, disable=not err.is_terminal, expand=True) as bars:
        tasks: dict[str, Any] = {}

        def listen(step: Progress) -> None:
            if step.task not in tasks:
                if narrated and not err.is_terminal:
                    say(f"{step.task} ...")
                tasks[step.task] = bars.add_task(step.task, total=step.total, detail="")
            bars.update(tasks[step.task], completed=step.done, total=step.total, detail=step.detail)

        yield listen


@contextmanager
def working(feature: str, *, resumes: bool = True, keras: bool = True) -> Iterator[Listener]:
    """What every command that trains or measures runs in: its extra, a silent start, progress.

    Args:
        feature: the command, as users call it.
        resumes: whether it can be resumed.
        keras: whether it needs Keras, whatever its arguments are.
    """
    from falx.extras import needs

    with needs("train", feature):
        if keras:
            import_keras()
        try:
            with progress(narrated=True) as listener:
                yield listener
        except KeyboardInterrupt:
            # Typer would end without a word.
            rest = "the same command resumes from the last checkpoint, if one was written"
            fail(f"Stopped; {rest if resumes else 'nothing was written'}.", code=130)


def say(message: str) -> None:
    """A remark."""
    err.print(Text(message))


def warn(message: str) -> None:
    """Something to take note of."""
    err.print(Text.assemble(("Warning: ", "bold yellow"), message))


def fail(message: str, code: int = 2) -> NoReturn:
    """End with the one sentence of an error."""
    logging.getLogger(__name__).debug("failed", exc_info=True)
    err.print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True)
    sys.exit(code)


def show_next(folder: Path, steps: Sequence[tuple[str, str]]) -> None:
    """Where the result lies, and the commands that come next."""
    say(f"Wrote {folder}")
    for what, command in steps:
        err.print(Text.assemble((f"  {what}: ", "dim"), command), soft_wrap=True)


def say_written(*files: Path | None) -> None:
    """Name the files that were written."""
    for file in files:
        if file not in (None, STANDARD_OUTPUT):
            say(f"Wrote {file}")
