"""Options of verbs, each declared once: what it is called, what it does, what it is by default.

A verb's options are a `TypedDict` whose entries carry an `Option`. From it come the verb's
signature and defaults, the help of the command line, what a run records, the command that repeats
it, and what a resumed run must have in common with the one that began.
"""

from __future__ import annotations

import functools
import inspect
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_args, get_type_hints

from falx.recipe.overrides import did_you_mean

_Verb = TypeVar("_Verb", bound=Callable[..., Any])


@dataclass(frozen=True)
class Option:
    """One option of a verb.

    Attributes:
        help: what it does, in a sentence.
        default: the value where nothing else is asked for.
        flag: on the command line; by default the name with dashes.
        short: another one, of a single letter.
        shell: the type on the command line, where it is not the one in Python.
        minimum, maximum: bounds of a number.
        reproducible: whether the result depends on it, so that the command that repeats a run names
            it.
        by_content: whether what it names counts and not its name, as of a file: a resumed run
            must agree in the content, which is compared apart.
    """

    help: str
    default: Any = None
    flag: str = ""
    short: str = ""
    shell: Any = None
    minimum: float | None = None
    maximum: float | None = None
    reproducible: bool = True
    by_content: bool = False


@dataclass(frozen=True)
class Declared:
    """An option with the name and type that it was declared by."""

    name: str
    type: Any
    option: Option

    @property
    def flag(self) -> str:
        """Such as `--cache-gb`."""
        return self.option.flag or f"--{self.name.replace('_', '-')}"


def declared(options: type) -> tuple[Declared, ...]:
    """The options of a `TypedDict`, in order."""
    hints = get_type_hints(options, include_extras=True)
    return tuple(Declared(name, *get_args(hint)) for name, hint in hints.items())


def takes(options: type) -> Callable[[_Verb], _Verb]:
    """Let a function take options: its signature shows them, and their defaults are filled in.

    Raises:
        TypeError: by the function, when it is called with an option that it does not have.
    """
    known = declared(options)
    defaults = {each.name: each.option.default for each in known}

    def wrap(verb: _Verb) -> _Verb:
        signature = inspect.signature(verb)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        names = {each.name for each in own} | set(defaults)
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        shown = [
            inspect.Parameter(
                each.name, keyword_only, default=each.option.default, annotation=each.type
            )
            for each in known
        ]

        @functools.wraps(verb)
        def call(*args: Any, **values: Any) -> Any:
            for name in values:
                if name not in names:
                    hint = did_you_mean(name, sorted(names))
                    raise TypeError(f"{verb.__name__}() has no option '{name}'{hint}.")
            return verb(*args, **(defaults | values))

        cast("Any", call).__signature__ = signature.replace(parameters=[*own, *shown])
        return cast("_Verb", call)

    return wrap


def command_line(
    verb: str, arguments: Sequence[object], options: type, values: Mapping[str, Any]
) -> str:
    """The command that repeats a call of a verb, with every option that is not the default.

    Args:
        values: of some or all options, by name.
    """
    words = ["falx", verb, *map(str, arguments)]
    for each in declared(options):
        value = values.get(each.name, each.option.default)
        if each.option.reproducible and value != each.option.default:
            words += _words(each.flag, value)
    return shlex.join(words)


def recorded(options: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all options that a result depends on, ready for JSON."""
    return {
        each.name: _plain(values.get(each.name, each.option.default))
        for each in declared(options)
        if each.option.reproducible
    }


def compared(options: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a resumed run must have in common with the one that began, for JSON."""
    by_content = {each.name for each in declared(options) if each.option.by_content}
    every = recorded(options, values)
    return {name: value for name, value in every.items() if name not in by_content}


def _words(flag: str, value: Any) -> list[str]:
    """An option and its value as words of a command line."""
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        return [word for item in _plain(value).items() for word in (flag, "{}={}".format(*item))]
    return [flag, str(_plain(value))]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _as_text(entry) for name, entry in value.items()}
    return value if isinstance(value, bool | int | float | None) else str(value)


def _as_text(entry: object) -> str:
    """An entry of a mapping as the command line takes it: text, else JSON, which is YAML."""
    return entry if isinstance(entry, str) else json.dumps(entry, default=str)
