"""An option is declared once: signature, defaults, command line and record follow."""

import inspect
from pathlib import Path
from typing import Annotated, TypedDict, Unpack

import pytest
import typer
from typer.testing import CliRunner

import falx
from falx.cli.parameters import assignments, with_options
from falx.declaration import Option, command_line, compared, declared, recorded, takes
from falx.errors import BadInput
from falx.runs.options import (
    AdaptOptions,
    AuditOptions,
    CrossvalOptions,
    EvaluateOptions,
    TrainOptions,
)


class Options(TypedDict, total=False):
    size: Annotated[int, Option("Side in pixels.", 64, minimum=32)]
    rate: Annotated[float, Option("Learning rate.", 1e-3)]
    force: Annotated[bool, Option("Whatever comes.", default=False)]
    changes: Annotated[
        dict[str, object] | None, Option("Fields.", flag="--set", shell=list[str] | None)
    ]
    recipe: Annotated[str | Path, Option("A file.", "lite", shell=str, by_content=True)]
    out: Annotated[str | None, Option("Folder.", reproducible=False)]


@takes(Options)
def verb(data: str, *, loud: bool = False, **options: Unpack[Options]) -> tuple:
    """Return what it was called with."""
    return data, loud, options


def test_defaults_are_filled_in():
    data, loud, options = verb("slices", size=96)
    assert (data, loud) == ("slices", False)
    assert options == {
        "size": 96, "rate": 1e-3, "force": False, "changes": None, "recipe": "lite", "out": None,
    }  # fmt: skip


def test_the_signature_shows_every_option():
    parameters = inspect.signature(verb).parameters
    assert list(parameters) == ["data", "loud", *Options.__annotations__]
    assert parameters["size"].default == 64


def test_an_option_that_a_verb_does_not_have_names_its_nearest():
    with pytest.raises(TypeError, match=r"verb\(\) has no option 'sise' \(did you mean 'size'\?\)"):
        verb("slices", sise=96)


def test_the_command_names_what_is_not_the_default_and_decides_the_result():
    values = {"size": 96, "rate": 1e-4, "force": True, "changes": {"a.b": 0.3}, "out": "runs/x"}
    words = "falx verb 'my slices' --size 96 --rate 0.0001 --force --set a.b=0.3"
    assert command_line("verb", ["my slices"], Options, values) == words
    assert command_line("verb", ["slices"], Options, {}) == "falx verb slices"


def test_a_record_holds_every_option_that_decides_the_result():
    assert recorded(Options, {"size": 96, "recipe": Path("mine.yaml")}) == {
        "size": 96, "rate": 1e-3, "force": False, "changes": None, "recipe": "mine.yaml",
    }  # fmt: skip


def test_a_resumed_run_must_agree_in_values_but_not_in_names_of_files():
    assert "recipe" not in compared(Options, {"recipe": "a.yaml"})
    assert compared(Options, {"size": 96})["size"] == 96


def test_the_command_line_takes_the_same_options():
    app, called = typer.Typer(), []

    @app.command()
    @with_options(Options)
    def run(data: Path, **options) -> None:
        called.append((data, options | {"changes": assignments(options["changes"])}))

    done = CliRunner().invoke(app, ["slices", "--size", "96", "--force", "--set", "a.b=1"])
    assert done.exit_code == 0, done.output
    ((data, options),) = called
    assert data == Path("slices")
    assert options == {
        "size": 96, "rate": 1e-3, "force": True, "changes": {"a.b": "1"}, "recipe": "lite",
        "out": None,
    }  # fmt: skip
    assert CliRunner().invoke(app, ["slices", "--size", "16"]).exit_code == 2
    shown = " ".join(CliRunner().invoke(app, ["--help"], terminal_width=200).output.split())
    assert "Side in pixels." in shown
    assert "[default: 64]" in shown


@pytest.mark.parametrize("change", ["head.dropout", "=0.3"])
def test_a_change_is_a_field_and_a_value(change):
    with pytest.raises(BadInput, match="FIELD=VALUE"):
        assignments([change])


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (falx.audit, AuditOptions),
        (falx.train, TrainOptions),
        (falx.crossval, CrossvalOptions),
        (falx.evaluate, EvaluateOptions),
        (falx.adapt, AdaptOptions),
    ],
)
def test_functions_and_commands_have_the_same_options(function, options):
    from typer.main import get_command

    from falx.cli import app

    command = get_command(app).commands[function.__name__]
    names = {each.name for each in declared(options)}
    assert names <= set(inspect.signature(function).parameters)
    assert names <= {parameter.name for parameter in command.params}
