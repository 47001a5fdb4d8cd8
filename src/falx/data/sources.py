"""Which files a dataset names, and what it says of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from falx.data.read import find_files
from falx.errors import BadInput, UnusableData

NEGATIVE = frozenset(
    {"no", "none", "negative", "normal", "healthy", "control", "benign", "0", "false"}
    | {
        f"{no}{gap}{tumor}"
        for no in ("no", "without")
        for gap in ("", "_", "-")
        for tumor in ("tumor", "tumors", "tumour", "tumours")
    }
)
POSITIVE = frozenset(
    {"yes", "positive", "abnormal", "malignant", "1", "true"}
    | {"tumor", "tumors", "tumour", "tumours", "with_tumor", "with_tumour"}
)
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


def entries_of(data: Path) -> tuple[Path, list[Entry]]:
    """The root of a dataset and its files.

    Raises:
        BadInput: the folder or table is missing, can't be opened, or is laid out otherwise.
        UnusableData: it holds no files, or only one class.
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
            "subfolder a class, or a table with the columns path and label."
        )
    else:
        raise BadInput(f"'{data}' does not exist; give a folder with one subfolder a class.")
    classes = sorted({entry.label for entry in entries})
    if len(classes) < 2:
        raise UnusableData(
            f"'{data}' holds {_counted(classes)}, and a classifier needs at least two; put the "
            "images into one subfolder a class, such as yes/ and no/."
        )
    return root.resolve(), [
        Entry(entry.file.resolve(), entry.label, entry.split, entry.patient) for entry in entries
    ]


def order_classes(names: Iterable[str], positive: str | None = None) -> tuple[str, ...]:
    """Class names in order of their codes: what means "no tumor" first, the positive one last.

    Raises:
        BadInput: `positive` is not a class, or there are more than two.
    """
    ordered = sorted(names, key=lambda name: (_rank(name), name.lower(), name))
    if positive is None:
        return tuple(ordered)
    if positive not in ordered:
        raise BadInput(f"There is no class '{positive}'; the data hold {', '.join(ordered)}.")
    if len(ordered) != 2:
        raise BadInput(f"--positive is for two classes, and the data hold {', '.join(ordered)}.")
    return tuple(sorted(ordered, key=lambda name: name == positive))


def _rank(name: str) -> int:
    plain = name.strip().lower().replace(" ", "_")
    return 0 if plain in NEGATIVE else 2 if plain in POSITIVE else 1


def _counted(classes: list[str]) -> str:
    return f"only the class '{classes[0]}'" if classes else "no images in class subfolders"


def _folder_entries(folder: Path) -> Iterator[Entry]:
    subfolders = _subfolders(folder)
    parted = bool(subfolders) and all(sub.name.lower() in SPLIT_FOLDERS for sub in subfolders)
    for sub in subfolders:
        if not parted:
            yield from (Entry(file, sub.name) for file in _files(sub))
            continue
        split = SPLIT_FOLDERS[sub.name.lower()]
        for inner in _subfolders(sub):
            yield from (Entry(file, inner.name, split) for file in _files(inner))


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(
            Path(item.path)
            for item in os.scandir(folder)
            if item.is_dir() and not item.name.startswith(".")
        )
    except OSError as error:
        raise _closed(folder, error) from error


def _files(folder: Path) -> list[Path]:
    _subfolders(folder)
    return find_files([folder]) if any(folder.iterdir()) else []


def _closed(folder: Path, error: OSError) -> BadInput:
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
                f"have patient and split, and it has {', '.join(map(str, table.columns))}."
            )
    table = table.reindex(columns=["path", "label", "patient", "split"]).astype(object)
    for row in table.where(table.notna(), "").astype("str").itertuples(index=False):
        if not row.path or not row.label:
            raise BadInput(f"The table '{file}' has a row without a path or a label; complete it.")
        part = str(row.split)
        split = SPLIT_FOLDERS.get(part.lower(), "")
        if part and not split:
            raise BadInput(f"The table '{file}' has the split '{part}'; use train, val or test.")
        yield Entry(file.parent / str(row.path), str(row.label), split, str(row.patient))
