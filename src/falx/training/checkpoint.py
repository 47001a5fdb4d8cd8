"""The whole state of a training after an epoch, so that a killed one ends as if it had not been."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np

STATE_FILE = "state.npz"
BEST_FILE = "best.npz"

Weights = list[np.ndarray]
"""Of a whole network, in its order."""


@dataclass
class State:
    """What a training needs beside the variables of network and optimizer."""

    phase: int = 0
    """Number of the phase under way."""
    epochs_done: int = 0
    """Epochs done in that phase."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One entry an epoch, over all phases."""
    plateau: dict[str, float | None] = field(default_factory=dict)
    """Memory of the rate's schedule."""


def save(
    folder: Path,
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    state: State,
    best: Weights | None,
) -> None:
    """Write state, all variables, random seeds among them, and best weights over the last ones."""
    if best is not None:
        _write(folder / BEST_FILE, {f"w{number}": value for number, value in enumerate(best)})
    arrays = _arrays("n", network.variables) | _arrays("o", optimizer.variables)
    _write(folder / STATE_FILE, {**arrays, "state": np.array(json.dumps(asdict(state)))})


def remove(folder: Path) -> None:
    """Remove the checkpoint, when what was trained is kept elsewhere."""
    for name in (STATE_FILE, BEST_FILE):
        (folder / name).unlink(missing_ok=True)


def load_state(folder: Path) -> State | None:
    """The state of the last checkpoint, or None where there is none."""
    if not (folder / STATE_FILE).exists():
        return None
    with np.load(folder / STATE_FILE) as arrays:
        return State(**json.loads(str(arrays["state"])))


def load_best(folder: Path) -> Weights | None:
    """The best weights of the last checkpoint, or None where there are none."""
    if not (folder / BEST_FILE).exists():
        return None
    with np.load(folder / BEST_FILE) as arrays:
        return [arrays[f"w{number}"] for number in range(len(arrays))]


def restore_network(folder: Path, network: keras.Model) -> None:
    """Give a network the variables of the last checkpoint."""
    _restore(folder, "n", network.variables)


def restore_optimizer(folder: Path, optimizer: keras.optimizers.Optimizer) -> None:
    """Give a built optimizer the variables of the last checkpoint."""
    _restore(folder, "o", optimizer.variables)


def _restore(folder: Path, prefix: str, variables: Iterable[Any]) -> None:
    with np.load(folder / STATE_FILE) as arrays:
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"{prefix}{number}"])


def _arrays(prefix: str, variables: Iterable[Any]) -> dict[str, np.ndarray]:
    values = map(keras.ops.convert_to_numpy, variables)
    return {f"{prefix}{number}": value for number, value in enumerate(values)}


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that gets its name when the block ends well; else an old one stays."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as stream:
            yield stream
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with whole_file(path) as stream:
        np.savez(stream, allow_pickle=False, **arrays)
