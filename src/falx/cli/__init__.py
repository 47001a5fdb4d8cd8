"""The command line: one command a verb, no logic.

What a person reads goes to standard error or, where it is the answer itself, to standard output;
what a pipe wants goes to standard output. Exit codes: 0 done, 2 wrong use or data that can't be
used, 3 `--strict` and something was left out, 130 stopped by the user.
"""

from __future__ import annotations

import errno
from typing import Annotated

import typer

from falx.cli.data import audit, fetch, phantom
from falx.cli.deploying import bench, export
from falx.cli.terminal import fail, show_log
from falx.cli.training import crossval, demo, pretrain, train
from falx.cli.using import adapt, card, doctor, evaluate, predict
from falx.errors import FalxError
from falx.notice import NOTICE

app = typer.Typer(
    name="falx",
    help=f"From a folder of brain MRI slices to a tumor detector that one can trust.\n\n{NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_STORAGE_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
}


def main() -> None:
    """Run the command line; an error that a user can cause is one sentence and exit code 2."""
    try:
        app()
    except FalxError as error:
        fail(str(error))
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            raise
        where = f" '{error.filename}'" if error.filename else ""
        fail(
            f"Reading or writing{where} failed ({error.strerror or error}); make room or get "
            "permission, then run the same command again: a training resumes, everything else "
            "starts anew."
        )


def _show_version(asked: bool) -> None:
    if asked:
        from falx import __version__

        typer.echo(f"falx {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    offline: Annotated[
        bool, typer.Option("--offline", envvar="FALX_OFFLINE", help="Never open a network socket.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the library's log.")
    ] = False,
    # Its callback does all.
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    show_log(verbose)
    if offline:
        from falx.offline import forbid_network

        forbid_network()


_COMMANDS = (
    *(audit, train, crossval, evaluate, predict, adapt, card, export, bench),
    *(demo, phantom, fetch, pretrain, doctor),
)
for command in _COMMANDS:
    app.command()(command)
