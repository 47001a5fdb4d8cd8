"""The library: every verb is a function, and `falx` shows what is public and nothing else."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

import falx
from falx.cli import app

COMMANDS = get_command(app).commands

NOT_PARAMETERS = {
    ("predict", "detector_path"): "it is the first argument, `run`",
    ("predict", "paths"): "they are `images`, since arrays are taken too",
    ("evaluate", "arguments"): "they are `run` and `data`",
    ("adapt", "arguments"): "they are `run` and `local`",
    ("*", "help"): "Python has help()",
}
"""Parameters of commands that functions lack by that name, and why."""


def modules():
    """All modules of the package, by name."""
    root = Path(falx.__file__).parent
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_is_a_function_with_the_same_options(verb):
    function = getattr(falx, verb)
    parameters = inspect.signature(function).parameters
    for each in COMMANDS[verb].params:
        if {(verb, each.name), ("*", each.name)} & set(NOT_PARAMETERS):
            continue
        assert each.name in parameters, f"falx.{verb} lacks {each.name}"
        if each.param_type_name == "option" and not each.required:
            assert parameters[each.name].default == each.default
    own = {each.name for each in COMMANDS[verb].params}
    # The listener takes the place of the progress bar.
    beyond = {
        name
        for name, each in parameters.items()
        if each.kind is each.KEYWORD_ONLY and name not in own
    }
    # Tests hand over a table of their own, of a server on this machine.
    assert beyond <= {"listener"} | ({"table"} if verb == "fetch" else set())


def test_the_exceptions_are_of_commands_that_there_are():
    for verb, name in NOT_PARAMETERS:
        if verb == "*":
            continue
        assert name in {each.name for each in COMMANDS[verb].params}
        assert name not in inspect.signature(getattr(falx, verb)).parameters


def test_dir_lists_the_public_names():
    assert dir(falx) == sorted(falx.__all__)
    assert len(set(falx.__all__)) == len(falx.__all__)
    assert set(COMMANDS) < set(falx.__all__)


@pytest.mark.parametrize("name", falx.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name):
    value = getattr(falx, name)
    assert value.__name__ == name
    # A dataclass without a docstring gets its signature as one.
    assert inspect.getdoc(value)
    assert not value.__doc__.startswith(f"{name}(")


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'falx' has no attribute 'trian'"):
        _ = falx.trian


def test_no_module_shadows_a_public_name():
    top = {name.split(".")[1] for name in modules() if "." in name}
    assert "phantoms" in top
    assert not top & set(falx.__all__)


def test_no_import_of_a_module_changes_a_public_name():
    for name in modules():
        # Programs of their own.
        if not name.endswith(("standalone", "measure", "__main__")):
            import_module(name)
    for name in falx.__all__:
        assert callable(getattr(falx, name)), name
    assert dir(falx) == sorted(falx.__all__)


def test_to_import_falx_imports_no_library_of_training():
    heavy = ["keras", "tensorflow", "sklearn", "pandas", "matplotlib", "openvino", "pydicom", "cv2"]
    code = f"import sys, falx; dir(falx); print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
