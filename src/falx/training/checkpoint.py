"""The whole state of a training after an epoch, so that a killed one ends as if it had not been."""

from __future__ import annotations

import json
import os
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
    arrays = {
        f"n{number}": keras.ops.convert_to_numpy(v) for number, v in enumerate(network.variables)
    }
    arrays |= {
        f"o{number}": keras.ops.convert_to_numpy(v)
        for number, v in enumerate(network.optimizer.variables)
    }
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
    weights = {
        f"w{number}": keras.ops.convert_to_numpy(v) for number, v in enumerate(network.weights)
    }
    _write(folder / BEST_FILE, weights)


def restore_best(folder: Path, network: keras.Model) -> None:
    """Give the network the best weights."""
    with np.load(folder / BEST_FILE) as arrays:
        network.set_weights([arrays[f"w{number}"] for number in range(len(network.weights))])


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays so that the file is whole, or the old one stays."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    os.replace(temporary, path)
