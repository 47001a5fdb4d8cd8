"""The whole state of a training after an epoch, so that a killed one ends as if it had not been."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

STATE_FILE = "state.npz"
BEST_FILE = "best.npz"


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


def save(folder: Path, network: keras.Model, state: State) -> None:
    """Write state and all variables, random seeds among them, over the last checkpoint."""
    arrays = _arrays("n", network.variables) | _arrays("o", network.optimizer.variables)
    _write(folder / STATE_FILE, {**arrays, "state": np.array(json.dumps(asdict(state)))})


def load_state(folder: Path) -> State | None:
    """The state of the last checkpoint, or None where there is none."""
    if not (folder / STATE_FILE).exists():
        return None
    with np.load(folder / STATE_FILE) as arrays:
        return State(**json.loads(str(arrays["state"])))


def restore(folder: Path, network: keras.Model) -> None:
    """Give a compiled network the variables of the last checkpoint."""
    network.optimizer.build(network.trainable_variables)
    with np.load(folder / STATE_FILE) as arrays:
        for number, variable in enumerate(network.variables):
            variable.assign(arrays[f"n{number}"])
        for number, variable in enumerate(network.optimizer.variables):
            variable.assign(arrays[f"o{number}"])


def save_best(folder: Path, network: keras.Model) -> None:
    """Keep the weights of the network as the best so far."""
    _write(folder / BEST_FILE, _arrays("w", network.weights))


def restore_best(folder: Path, network: keras.Model) -> None:
    """Give the network the best weights."""
    with np.load(folder / BEST_FILE) as arrays:
        network.set_weights([arrays[f"w{number}"] for number in range(len(network.weights))])


def _arrays(prefix: str, variables: Iterable[Any]) -> dict[str, np.ndarray]:
    values = map(keras.ops.convert_to_numpy, variables)
    return {f"{prefix}{number}": value for number, value in enumerate(values)}


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays so that the file is whole, or the old one stays."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    os.replace(temporary, path)
