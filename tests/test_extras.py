"""The error about a missing extra names the feature and the install command."""

import re
import subprocess
import sys
from importlib import metadata

import pytest

from falx.errors import MissingExtra
from falx.extras import EXTRAS, check_installed, install_command, missing_modules, needs
from helpers import head_slices, write_nifti, write_series


def test_a_missing_module_of_the_extra_becomes_one_sentence():
    expected = (
        f"falx train needs 'keras.layers', which is not installed: {install_command('train')}."
    )
    with (
        pytest.raises(MissingExtra, match=f"^{re.escape(expected)}$"),
        needs("train", "falx train"),
    ):
        raise ModuleNotFoundError(name="keras.layers")


def test_a_missing_module_of_no_extra_is_not_hidden():
    with (
        pytest.raises(ModuleNotFoundError, match="no_such_module"),
        needs("train", "falx train"),
    ):
        # The import itself is tested.
        import falx.no_such_module  # noqa: F401


@pytest.mark.parametrize("extra", EXTRAS)
def test_nothing_is_missing_where_tests_run(extra):
    assert missing_modules(extra) == []


def test_the_command_names_the_extra():
    assert install_command("train") == 'pip install "falx[train]"'


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(EXTRAS, "other", ("json", "no_such_module"))
    assert missing_modules("other") == ["no_such_module"]
    with pytest.raises(MissingExtra, match="falx other needs 'no_such_module'"):
        check_installed("other", "falx other")


def test_a_block_whose_modules_are_installed_runs():
    with needs("train", "falx train"):
        import keras
    assert keras.__version__


def test_other_errors_pass_through():
    with (
        pytest.raises(ZeroDivisionError, match="division by zero"),
        needs("train", "falx train"),
    ):
        # The value is not used.
        1 / 0  # noqa: B018


def modules_of(extra):
    """The modules that an extra of pyproject.toml installs."""
    requirements = [text for text in metadata.requires("falx") if f'extra == "{extra}"' in text]
    names = {text.split(">")[0].split(";")[0].strip().lower() for text in requirements}
    owners = metadata.packages_distributions()
    return {module for module, owned in owners.items() if {o.lower() for o in owned} & names}


def bare(*words):
    """Run the command line as if no extra were installed."""
    code = f"""
import sys
from importlib.machinery import PathFinder

class Bare:
    find_distributions = PathFinder.find_distributions

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {sorted(modules_of("train"))}:
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [*(f for f in sys.meta_path if f is not PathFinder), Bare]
sys.argv = ["falx", *{[str(word) for word in words]}]
from falx.cli import main
main()
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_modules_of_the_extra_are_listed():
    listed = set(EXTRAS["train"])
    assert listed <= modules_of("train") | {"tensorflow"}
    assert {"keras", "pandas", "filelock", "h5py", "yaml"} <= listed


def test_without_extras_falx_predicts_slices_and_volumes(run, phantoms, tmp_path):
    head = head_slices()
    write_nifti(tmp_path / "volume.nii.gz", head)
    write_series(tmp_path / "series", head)
    done = bare("predict", run, phantoms / "yes" / "00001.png", tmp_path, "--csv", "-", "--strict")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 1 + 16 + 16


def test_without_extras_the_doctor_says_what_to_install():
    done = bare("doctor")
    assert done.returncode == 0, done.stderr
    assert "lacks keras" in done.stdout
    assert install_command("train") in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    "words", [["train", "data"], ["audit", "data"], ["evaluate", "r", "d"], ["demo"]]
)
def test_without_extras_other_commands_say_what_to_install(words):
    done = bare(*words)
    assert done.returncode == 2
    assert install_command("train") in done.stderr
    assert "Traceback" not in done.stderr
