"""Optional dependencies: which extra brings which, and how to get one."""

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
        "imagehash",
        "filelock",
        "h5py",
        "tensorboard",
        "yaml",
        "cleanlab",
    ),
    "export": ("ai_edge_litert", "nncf", "onnx", "onnxruntime", "tf2onnx"),
}


def command(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "falx[{extra}]"'


def missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    return [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]


def check_installed(extra: str, feature: str) -> None:
    """See that all modules of an extra are there, before anything is begun.

    Raises:
        MissingExtra: one is not.
    """
    absent = missing(extra)
    if absent:
        raise _missing_extra(feature, absent[0], extra)


@contextmanager
def needs(extra: str, feature: str) -> Iterator[None]:
    """Turn a missing module inside the block into the command that installs it.

    Raises:
        MissingExtra: a module of the extra can't be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRAS[extra]:
            raise
        raise _missing_extra(feature, error.name, extra) from error


def _missing_extra(feature: str, module: str | None, extra: str) -> MissingExtra:
    return MissingExtra(f"{feature} needs '{module}', which is not installed: {command(extra)}.")
