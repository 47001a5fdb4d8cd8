"""Checkpoints: the complete state of a training, so that a resumed one gives the same result."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from falx.training.disk_cache import atomic_write

STATE_FILE = "state.npz"
BEST_FILE = "best.npz"

WeightArrays = list[np.ndarray]
"""Weights of a whole network, as `get_weights` returns them."""


@dataclass
class TrainingState:
    """What a training needs besides the variables of network and optimizer."""

    phase: int = 0
    """Index of the current phase."""
    epochs_done: int = 0
    """Completed epochs of that phase."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One entry per epoch, over all phases."""
    plateau: dict[str, float | None] = field(default_factory=dict)
    """Internal state of ReduceLROnPlateau."""

    def history_table(self) -> pd.DataFrame:
        """The history, with a column `best`: whether the validation loss is the lowest."""
        table = pd.DataFrame(self.history)
        return table.assign(best=table.index == table["val_loss"].idxmin())


def save(
    folder: Path,
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    state: TrainingState,
    best: WeightArrays | None,
) -> None:
    """Replace the checkpoint: state, all variables including random seeds, and the best weights."""
    if best is not None:
        _write(folder / BEST_FILE, {f"w{index}": values for index, values in enumerate(best)})
    arrays = _arrays("n", network.variables) | _arrays("o", optimizer.variables)
    _write(folder / STATE_FILE, {**arrays, "state": np.array(json.dumps(asdict(state)))})


def remove(folder: Path) -> None:
    """Remove the checkpoint, once the result is saved elsewhere."""
    for name in (STATE_FILE, BEST_FILE):
        (folder / name).unlink(missing_ok=True)


def load_state(folder: Path) -> TrainingState | None:
    """The state of the last checkpoint, or None if there is none."""
    if not (folder / STATE_FILE).exists():
        return None
    with np.load(folder / STATE_FILE) as arrays:
        return TrainingState(**json.loads(str(arrays["state"])))


def load_best(folder: Path) -> WeightArrays | None:
    """The best weights of the last checkpoint, or None if there are none."""
    if not (folder / BEST_FILE).exists():
        return None
    with np.load(folder / BEST_FILE) as arrays:
        return [arrays[f"w{index}"] for index in range(len(arrays))]


def restore_network(folder: Path, network: keras.Model) -> None:
    """Load the variables of a network from the last checkpoint."""
    _restore(folder, "n", network.variables)


def restore_optimizer(folder: Path, optimizer: keras.optimizers.Optimizer) -> None:
    """Load the variables of a built optimizer from the last checkpoint."""
    _restore(folder, "o", optimizer.variables)


def _restore(folder: Path, prefix: str, variables: Iterable[Any]) -> None:
    with np.load(folder / STATE_FILE) as arrays:
        for index, variable in enumerate(variables):
            variable.assign(arrays[f"{prefix}{index}"])


def _arrays(prefix: str, variables: Iterable[Any]) -> dict[str, np.ndarray]:
    arrays = map(keras.ops.convert_to_numpy, variables)
    return {f"{prefix}{index}": values for index, values in enumerate(arrays)}


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_write(path) as stream:
        np.savez(stream, allow_pickle=False, **arrays)
