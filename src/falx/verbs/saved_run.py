"""What a run folder holds, read back without the data that it was made of."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.split import Split, split_words
from falx.detect.detector import SETTINGS_FILE, Settings, network_sha256
from falx.detect.rules import Rules
from falx.errors import BrokenRun
from falx.evaluation.folds import OutOfFold
from falx.evaluation.results import Results
from falx.recipe import Recipe, load_recipe
from falx.runfolder import PARTIAL

_FILES = ("recipe.yaml", "catalog.parquet", "predictions.csv", "metrics.json", "environment.json")
_NO_VIEWS = np.empty((0, 0, 0), np.uint8)


@dataclass(frozen=True)
class SavedRun:
    """A training or a cross-validation.

    Attributes:
        folder: where it lies.
        catalog: the data, unusable files included.
        environment: what environment.json says.
        tested: predictions on the test part, or out of fold; they have no views.
        split: of a training, or None.
        split_name: how slices were split, in words.
        settings: of its detector, or None.
        parameters: of its network, or 0.
        made: the day on which it was finished, or an empty string where no log says so.
    """

    folder: Path
    catalog: Catalog
    recipe: Recipe
    environment: dict[str, Any]
    tested: Results | OutOfFold
    split: Split | None
    split_name: str
    settings: Settings | None
    parameters: int
    made: str


def load_run(run: Path) -> SavedRun:
    """Read a run folder; its `detector/` stands for it.

    Raises:
        BrokenRun: it is no training and no cross-validation, or damaged, or of an older falx.
    """
    folder = run.absolute().parent if (run / SETTINGS_FILE).is_file() else run
    _check_files(folder)
    try:
        metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
        if metrics["split"] == "crossval":
            return _crossval(folder, metrics["by_fold"])
        return _training(folder)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise BrokenRun(
            f"The run '{folder}' is damaged ({error}); copy it anew, or train again."
        ) from error


def _check_files(folder: Path) -> None:
    if folder.suffix == PARTIAL:
        raise BrokenRun(f"'{folder}' is an unfinished run; run its command again to finish it.")
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise BrokenRun(
            f"'{folder}' is no training and no cross-validation (it lacks {missing[0]}); name a "
            "folder that falx train or falx crossval made."
        )


def _training(folder: Path) -> SavedRun:
    catalog, predictions = Catalog.load(folder / "catalog.parquet"), _predictions(folder)
    usable, detector = catalog.usable(), folder / "detector"
    parts = pd.read_csv(folder / "split.csv")["part"].to_numpy(dtype=object)
    split = Split(*(np.flatnonzero(parts == name) for name in ("train", "validation", "test")))
    table = predictions[predictions["part"] == "test"]
    _check_same(usable.table.iloc[split.test], table)
    settings = Settings.load(detector)
    if network_sha256(detector) != settings.network_sha256:
        raise BrokenRun(f"The network in '{detector}' was altered or cut off; copy the run anew.")
    tested = Results.of(
        usable,
        split.test,
        np.full(len(table), "test"),
        _probabilities(table, catalog.classes),
        _numbers(table, ["distance"])[:, 0],
        rules=settings.rules,
        views=_NO_VIEWS,
    )
    count = _count_parameters(detector / "network.keras")
    return _saved(folder, catalog, tested, split=split, settings=settings, parameters=count)


def _crossval(folder: Path, folds: list[dict[str, Any]]) -> SavedRun:
    catalog, predictions = Catalog.load(folder / "catalog.parquet"), _predictions(folder)
    if "distance" not in predictions or not all("rules" in fold for fold in folds):
        raise BrokenRun(
            f"The run '{folder}' was made by an older falx, which kept no distances and no rules; "
            "cross-validate again, or use the falx that made it."
        )
    usable = catalog.usable()
    repeats = [table for _, table in predictions.groupby(predictions["repeat"].astype(int))]
    for table in repeats:
        _check_same(usable.table, table)
    tested = OutOfFold(
        usable,
        np.stack([_probabilities(table, catalog.classes) for table in repeats]),
        np.stack([_numbers(table, ["distance"])[:, 0] for table in repeats]),
        np.stack([table["fold"].astype(int).to_numpy() for table in repeats]),
        _rules(folds, len(repeats)),
        _NO_VIEWS,
    )
    return _saved(folder, catalog, tested)


def _saved(
    folder: Path,
    catalog: Catalog,
    tested: Results | OutOfFold,
    *,
    split: Split | None = None,
    settings: Settings | None = None,
    parameters: int = 0,
) -> SavedRun:
    environment = json.loads((folder / "environment.json").read_text("utf-8"))
    return SavedRun(
        folder=folder,
        catalog=catalog,
        recipe=load_recipe(folder / "recipe.yaml"),
        environment=environment,
        tested=tested,
        split=split,
        split_name=_split_name(tested, environment["command"]),
        settings=settings,
        parameters=parameters,
        made=_made(folder / "log.jsonl"),
    )


def _split_name(tested: Results | OutOfFold, command: str) -> str:
    if isinstance(tested, OutOfFold):
        return tested.split_name
    words = shlex.split(command)
    return split_words(words[words.index("--split") + 1])


def _predictions(folder: Path) -> pd.DataFrame:
    """The table as text: a class may be called 1, and a file NA."""
    return pd.read_csv(folder / "predictions.csv", dtype="str", keep_default_na=False)


def _rules(folds: list[dict[str, Any]], repeats: int) -> tuple[tuple[Rules, ...], ...]:
    """Those of each fold of each repeat."""
    numbers = range(1, repeats + 1)
    return tuple(
        tuple(Rules(**each["rules"]) for each in folds if each["repeat"] == number)
        for number in numbers
    )


def _probabilities(table: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    return _numbers(table, [f"p_{name}" for name in classes])


def _numbers(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Numbers of a table of text, in which an empty cell is what is no number."""
    return table[columns].replace("", "nan").to_numpy(object).astype(np.float64)


def _check_same(slices: pd.DataFrame, predictions: pd.DataFrame) -> None:
    if slices["path"].tolist() != predictions["path"].tolist():
        raise ValueError("predictions.csv is of other slices than catalog.parquet and split.csv")


def _count_parameters(network: Path) -> int:
    """The parameters in a Keras file, without loading Keras."""
    sizes: list[int] = []

    def add(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(int(item.size))

    with zipfile.ZipFile(network) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        file.visititems(add)
    return sum(sizes)


def _made(log: Path) -> str:
    lines = log.read_text("utf-8").splitlines() if log.is_file() else []
    return str(json.loads(lines[-1])["time"])[:10] if lines else ""
