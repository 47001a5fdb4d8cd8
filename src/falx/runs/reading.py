"""A run folder read back, without the data that it was made of."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.split import PARTS, Split
from falx.detect.detector import KERAS_FILE, network_sha256
from falx.detect.rules import Rules
from falx.detect.settings import SETTINGS_FILE, Settings
from falx.detect.site import SiteCheck
from falx.errors import BrokenRun
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.predictions import Predictions
from falx.exporting.linear_detector import HEAD_FILE, stored_parameters
from falx.recipe import load_recipe
from falx.runs.folder import PARTIAL
from falx.runs.run import RECIPE_FILE, Record, Run
from falx.runs.writing import (
    CATALOG_FILE,
    ENVIRONMENT_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    SPLIT_FILE,
)

_FILES = (RECORD_FILE, ENVIRONMENT_FILE, CATALOG_FILE, PREDICTIONS_FILE, METRICS_FILE)


def open_run(path: str | Path) -> Run:
    """Read a run folder; its `detector/` stands for it.

    Of what an evaluation measured besides predictions, the site check is read back; heat maps,
    border, occlusion and robustness are not: they are in metrics.json.

    Raises:
        BrokenRun: it is no run, or damaged, or of an older falx.
    """
    folder = Path(path)
    if (folder / SETTINGS_FILE).is_file():
        folder = folder.absolute().parent
    _check_files(folder)
    try:
        return _read(folder)
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
            f"'{folder}' is no run (it lacks {missing[0]}); name a folder that falx train, "
            "crossval or evaluate of this version made."
        )


def _read(folder: Path) -> Run:
    content = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    rules = tuple(tuple(map(Rules.from_dict, repeat)) for repeat in content.pop("rules"))
    del content["command"]
    environment = json.loads((folder / ENVIRONMENT_FILE).read_text("utf-8"))
    record = Record(**content, environment=environment)
    catalog = Catalog.load(folder / CATALOG_FILE)
    usable = catalog.usable()
    split = _split(folder / SPLIT_FILE, len(usable))
    # As text: a class may be called 1, and a file NA.
    table = pd.read_csv(folder / PREDICTIONS_FILE, dtype="str", keep_default_na=False)
    rows = np.arange(len(usable)) if split is None else split.test
    test = table[table["part"] == "test"]
    detector = folder / "detector"
    trained = record.kind == "training"
    return Run(
        folder=folder,
        record=record,
        catalog=catalog,
        evaluation=Evaluation(
            _predictions(test, usable, rows, rules),
            _leaked(test),
            site=_site(folder / METRICS_FILE),
        ),
        recipe=load_recipe(folder / RECIPE_FILE) if (folder / RECIPE_FILE).is_file() else None,
        split=split,
        validation=_validation(table, usable, split, rules),
        history=_history(folder / HISTORY_FILE),
        settings=_settings(detector) if trained else None,
        parameters=_count_parameters(detector) if trained else 0,
    )


def _split(file: Path, n: int) -> Split | None:
    if not file.is_file():
        return None
    parts = pd.read_csv(file)["part"].to_numpy(dtype=object)
    if len(parts) != n:
        raise ValueError(f"{SPLIT_FILE} names {len(parts)} of {n} slices")
    return Split(*(np.flatnonzero(parts == name) for name in PARTS))


def _validation(
    table: pd.DataFrame, usable: Catalog, split: Split | None, rules: tuple[tuple[Rules, ...], ...]
) -> Predictions | None:
    if split is None:
        return None
    part = table[table["part"] == "validation"]
    return _predictions(part, usable, split.validation, rules)


def _predictions(
    table: pd.DataFrame, usable: Catalog, rows: np.ndarray, rules: tuple[tuple[Rules, ...], ...]
) -> Predictions:
    repeats = [each for _, each in table.groupby(table["repeat"].astype(int))]
    paths = usable.table["path"].iloc[rows].tolist()
    if not repeats or any(each["path"].tolist() != paths for each in repeats):
        raise ValueError(f"{PREDICTIONS_FILE} and {CATALOG_FILE} name different slices")
    columns = [f"p_{name}" for name in usable.classes]
    before = [f"uncalibrated_{name}" for name in usable.classes]
    kept = set(before) <= set(table.columns)
    return Predictions(
        table=usable.table.iloc[rows].reset_index(drop=True),
        classes=usable.classes,
        rows=rows,
        probabilities=np.stack([_numbers(each, columns) for each in repeats]),
        distances=np.stack([_numbers(each, ["distance"])[:, 0] for each in repeats]),
        folds=np.stack([each["fold"].astype(int).to_numpy() for each in repeats]),
        rules=rules,
        uncalibrated=np.stack([_numbers(each, before) for each in repeats]) if kept else None,
    )


def _leaked(table: pd.DataFrame) -> np.ndarray | None:
    """Which tested slices share a group with training; None where the run does not say."""
    column = table.loc[table["repeat"] == "1", "leaked"]
    return None if (column == "").any() else (column == "True").to_numpy()


def _site(file: Path) -> SiteCheck | None:
    content = json.loads(file.read_text("utf-8")).get("site_check")
    return SiteCheck.from_dict(content) if content else None


def _numbers(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Numbers of a table of text, in which an empty cell is NaN."""
    return table[columns].replace("", "nan").to_numpy(object).astype(np.float64)


def _history(file: Path) -> pd.DataFrame | None:
    return pd.read_csv(file) if file.is_file() else None


def _settings(detector: Path) -> Settings:
    settings = Settings.load(detector)
    if network_sha256(detector) != settings.network_sha256:
        raise BrokenRun(f"The network in '{detector}' was altered or cut off; copy the run anew.")
    return settings


def _count_parameters(detector: Path) -> int:
    """The parameters of a detector's network, without loading Keras."""
    if (detector / HEAD_FILE).is_file():
        return stored_parameters(detector)
    with zipfile.ZipFile(detector / KERAS_FILE) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        return _sizes(file)


def _sizes(file: h5py.File) -> int:
    sizes: list[int] = []

    def add(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(int(item.size))

    file.visititems(add)
    return sum(sizes)
