"""Optional dependencies: the modules of each extra, and the command that installs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from falx.errors import MissingExtra

EXTRAS = {
    "train": (
        "keras",
        "tensorflow",
        "pandas",
        "pyarrow",
        "sklearn",
        "scipy",
        "matplotlib",
        "jinja2",
        "highdicom",
        "filelock",
        "pooch",
        "h5py",
        "tensorboard",
        "yaml",
        "cleanlab",
    ),
    "export": ("ai_edge_litert", "nncf", "onnx", "onnxruntime", "tf2onnx"),
}


def install_command(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "falx[{extra}]"'


def missing_modules(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    return [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]


def check_installed(extra: str, feature: str) -> None:
    """Check that all modules of an extra are installed.

    Raises:
        MissingExtra: one is not.
    """
    missing = missing_modules(extra)
    if missing:
        raise _missing_extra(feature, missing[0], extra)


@contextmanager
def needs(extra: str, feature: str) -> Iterator[None]:
    """Replace a failed import inside the block by an error that names the install command.

    Raises:
        MissingExtra: a module of the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRAS[extra]:
            raise
        raise _missing_extra(feature, error.name, extra) from error


def _missing_extra(feature: str, module: str | None, extra: str) -> MissingExtra:
    return MissingExtra(
        f"{feature} needs '{module}', which is not installed: {install_command(extra)}."
    )
