"""Parameters of commands: positional arguments, and options as their verbs declare them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from falx.declaration import Declared, declared
from falx.errors import BadInput

DataArgument = Annotated[
    Path,
    typer.Argument(
        help="Folder with a subfolder for each class, folder of images with masks, or a CSV or "
        "Parquet file."
    ),
]
DataArguments = Annotated[
    list[Path],
    typer.Argument(
        help="Folder with a subfolder for each class, folder of images with masks, or a CSV or "
        "Parquet file; or several, to take together."
    ),
]
DetectorArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A run folder, or the detector/ in it; by default the detector that ships with falx."
    ),
]

_OF_DETECTORS = ("detector", "detector.json", "run.json", "network.xml")
"""Files and folders that only runs and detectors hold."""

_Command = TypeVar("_Command", bound=Callable[..., None])


def with_options(options: type) -> Callable[[_Command], _Command]:
    """Let a command, a function with `**options`, take those of a verb on the command line."""
    known = declared(options)

    def wrap(command: _Command) -> _Command:
        hints = get_type_hints(command, include_extras=True)
        own = [
            each.replace(annotation=hints[each.name])
            for each in inspect.signature(command).parameters.values()
            if each.kind is not each.VAR_KEYWORD
        ]
        command.__signature__ = inspect.Signature([*own, *map(_parameter, known)])  # type: ignore[attr-defined]  # functions carry any attribute
        command.__annotations__ = {each.name: each.annotation for each in own}
        return command

    return wrap


def named_detector(paths: Sequence[str], detector: Path | None) -> list[Any]:
    """The detector to use, or None for the one that ships with falx, and the paths to classify.

    Without --detector, the first path is the detector if it is a run or detector folder, whole or
    not, and others follow.
    """
    if detector is not None:
        return [detector, *paths]
    first = Path(paths[0])
    if (
        len(paths) > 1
        and first.is_dir()
        and (first.suffix == ".partial" or any((first / name).exists() for name in _OF_DETECTORS))
    ):
        return [first, *paths[1:]]
    return [None, *paths]


def run_and_data(command: str, arguments: Sequence[str]) -> tuple[str | None, str]:
    """The run, or None for the detector that ships with falx, and the dataset.

    Raises:
        BadInput: there are more than these.
    """
    if len(arguments) > 2:
        raise BadInput(f"{command} takes a run and a dataset, got {len(arguments)} arguments.")
    *given, data = arguments
    return (given[0] if given else None), data


def assignments(changes: list[str] | None) -> Mapping[str, str] | None:
    """FIELD=VALUE pairs of `--set` as a mapping.

    Raises:
        BadInput: one is no such pair.
    """
    values = {}
    for change in changes or []:
        field, equals, value = change.partition("=")
        if not equals or not field:
            raise BadInput(f"--set takes FIELD=VALUE, such as head.dropout=0.3, not '{change}'.")
        values[field.strip()] = value
    return values or None


def _parameter(each: Declared) -> inspect.Parameter:
    option = each.option
    flags = filter(None, (each.flag, option.short))
    shown = typer.Option(*flags, help=option.help, min=option.minimum, max=option.maximum)
    return inspect.Parameter(
        each.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=option.default,
        annotation=Annotated[option.shell or each.type, shown],
    )
