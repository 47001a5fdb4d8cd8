"""The files of a dataset, from a folder or a table, with their labels."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from falx.data.read import find_files, is_candidate
from falx.errors import BadInput, UnusableData

logger = logging.getLogger(__name__)

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class Entry:
    """One file of a dataset."""

    file: Path
    label: str
    split: str = ""
    """"train", "validation" or "test" where the data say so, else ""."""
    patient: str = ""


def entries_of(data: Path, *, min_classes: int = 2) -> tuple[Path, list[Entry]]:
    """The root of a dataset and its files.

    Args:
        data: a folder or a table.
        min_classes: number of classes that the data must have.

    Raises:
        BadInput: the folder or table is missing, can't be opened, or is not laid out like that.
        UnusableData: it holds fewer classes.
    """
    if data.is_dir():
        entries = list(_folder_entries(data))
        root = data
    elif data.suffix.lower() in {".csv", ".parquet"} and data.is_file():
        entries = list(_table_entries(data))
        root = data.parent
    elif data.exists():
        raise BadInput(
            f"'{data}' is neither a folder nor a .csv or .parquet file; give a folder with one "
            "subfolder per class, or a table with the columns path and label."
        )
    else:
        raise BadInput(f"'{data}' does not exist; give a folder with one subfolder per class.")
    classes = sorted({entry.label for entry in entries})
    if len(classes) < min_classes:
        raise UnusableData(
            f"'{data}' holds {_counted(classes)}, and a classifier needs at least two; put the "
            "images into one subfolder per class, such as yes/ and no/."
        )
    # Links are not resolved: their targets may be the unnamed blobs of some tool's store.
    return root.absolute(), [replace(entry, file=entry.file.absolute()) for entry in entries]


def _counted(classes: list[str]) -> str:
    return f"only the class '{classes[0]}'" if classes else "no images in class subfolders"


def _folder_entries(folder: Path) -> Iterator[Entry]:
    subfolders = _subfolders(folder)
    _warn_of_loose_files(folder)
    parted = [sub for sub in subfolders if sub.name.lower() in SPLIT_FOLDERS]
    others = [sub.name for sub in subfolders if sub not in parted]
    if len(parted) > 1 and others:
        raise BadInput(
            f"'{folder}' holds the parts {parted[0].name}/ and {parted[1].name}/ and beside them "
            f"{others[0]}/; move that elsewhere, so that only parts or only classes are left."
        )
    for sub in subfolders:
        if others or not parted:
            yield from (Entry(file, sub.name) for file in _files(sub))
            continue
        split = SPLIT_FOLDERS[sub.name.lower()]
        for inner in _subfolders(sub):
            yield from (Entry(file, inner.name, split) for file in _files(inner))


def _warn_of_loose_files(folder: Path) -> None:
    loose = [item for item in folder.iterdir() if item.is_file() and is_candidate(item)]
    if loose:
        logger.warning(
            "%d files beside the subfolders of %s, such as %s, have no class and are left out.",
            len(loose),
            folder,
            loose[0].name,
        )


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(
            Path(item.path)
            for item in os.scandir(folder)
            if item.is_dir() and not item.name.startswith(".")
        )
    except OSError as error:
        raise _cannot_open(folder, error) from error


def _files(folder: Path) -> list[Path]:
    _subfolders(folder)
    return find_files([folder]) if any(folder.iterdir()) else []


def _cannot_open(folder: Path, error: OSError) -> BadInput:
    return BadInput(f"The folder '{folder}' can't be opened ({error.strerror}); allow reading it.")


def _table_entries(file: Path) -> Iterator[Entry]:
    try:
        if file.suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            table = pd.read_csv(file, dtype="str", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"The table '{file}' can't be read: {error}.") from error
    for column in ("path", "label"):
        if column not in table.columns:
            raise BadInput(
                f"The table '{file}' lacks the column '{column}'; it needs path and label, and may "
                f"have patient and split, but it has {', '.join(map(str, table.columns))}."
            )
    table = table.reindex(columns=["path", "label", "patient", "split"]).astype(object)
    table = table.where(table.notna(), "").astype("str")
    repeated = table["path"][table["path"].duplicated() & (table["path"] != "")]
    if len(repeated):
        raise BadInput(f"The table '{file}' names '{repeated.iat[0]}' twice; keep one of its rows.")
    for row in table.itertuples(index=False):
        if not row.path or not row.label:
            raise BadInput(f"The table '{file}' has a row without a path or a label; complete it.")
        part = str(row.split)
        split = SPLIT_FOLDERS.get(part.lower(), "")
        if part and not split:
            raise BadInput(f"The table '{file}' has the split '{part}'; use train, val or test.")
        yield Entry(file.parent / str(row.path), str(row.label), split, str(row.patient))
