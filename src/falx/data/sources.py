"""The files of a dataset, from a folder or a table, with their labels."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from falx.data.class_names import means_none
from falx.data.mask_pairs import (
    Pairs,
    in_mask_folder,
    pair_masks,
    pair_segmentations,
    stem,
)
from falx.data.patient_folders import (
    SPLIT_FOLDERS,
    are_classes,
    first_folder,
    levels_above_patients,
)
from falx.data.read import find_files, holds_dicom, is_candidate
from falx.errors import BadInput, UnusableData

logger = logging.getLogger(__name__)

WITH_TUMOR, WITHOUT_TUMOR = "tumor", "no_tumor"
"""The classes where masks alone tell the label."""


@dataclass(frozen=True)
class Entry:
    """One file of a dataset.

    Attributes:
        label: of its slices; with a mask, of those that show a tumor; "" where it is unknown.
        split: "train", "validation" or "test" where the data say so, else "".
        patient: that a table states.
        case: names what is of one patient by the layout, whatever the image's tags say.
        folder: names what is of one patient where neither table, tags nor layout tell.
        masks: of the tumors in its slices; a slice shows a tumor where any of them does.
        negative: label of the slices without one, where there are masks; "" where it is unknown.
    """

    file: Path
    label: str
    split: str = ""
    patient: str = ""
    case: str = ""
    folder: str = ""
    masks: tuple[Path, ...] = ()
    negative: str = ""


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
        _check_distinct(data, entries)
        root = data.parent
    elif data.exists():
        raise BadInput(
            f"'{data}' is neither a folder nor a .csv or .parquet file; give a folder with one "
            "subfolder per class, or a table with the columns path and label."
        )
    else:
        raise BadInput(f"'{data}' does not exist; give a folder with one subfolder per class.")
    classes = sorted(class_names(entries))
    if len(classes) < min_classes:
        raise UnusableData(
            f"'{data}' holds {_counted(classes)}, and a classifier needs at least two; put the "
            "images into one subfolder per class, such as yes/ and no/."
        )
    # Links are not resolved: their targets may be the unnamed blobs of some tool's store.
    return root.absolute(), [_absolute(entry) for entry in entries]


def class_names(entries: Iterable[Entry]) -> set[str]:
    """The classes that some files may be of."""
    return {name for entry in entries for name in (entry.label, entry.negative) if name}


def _absolute(entry: Entry) -> Entry:
    masks = tuple(mask.absolute() for mask in entry.masks)
    return replace(entry, file=entry.file.absolute(), masks=masks)


def _counted(classes: list[str]) -> str:
    return f"only the class '{classes[0]}'" if classes else "no images in class subfolders"


def _folder_entries(folder: Path) -> Iterator[Entry]:
    subfolders = _subfolders(folder)
    _warn_of_loose_files(folder)
    files = [file for sub in subfolders for file in _files(sub)]
    negative = _negative(subfolders)
    segmented, masks = ({}, set()) if negative else pair_segmentations(files)
    by_name, named_masks = pair_masks(folder, [file for file in files if file not in masks])
    pairs, masks = segmented | by_name, masks | named_masks
    paired = {mask for of_image in pairs.values() for mask in of_image}
    if pairs and not negative:
        levels = levels_above_patients(folder, files)
        images = [file for file in files if file not in masks]
        named_as = {image: first_folder(folder, image, levels) for image in images}
        if not are_classes(folder, _masks_by_name(named_as, pairs)):
            _warn_of_masks(folder, masks - paired)
            yield from _patient_entries(folder, named_as, pairs)
            return
        # Masks of several kinds of tumors say where they are; no class is without any.
        negative = WITHOUT_TUMOR if len(set(named_as.values())) == 1 else ""
    # Among classes, a name alone makes no mask: `yes/yes_label_0.png` is an image.
    masks = {mask for mask in masks if mask in paired or in_mask_folder(folder, mask)}
    _warn_of_masks(folder, masks - paired)
    for entry in _class_entries(folder, subfolders):
        if entry.file in pairs and not means_none(entry.label):
            yield replace(entry, masks=pairs[entry.file], negative=negative)
        elif entry.file not in masks:
            yield entry


def _class_entries(folder: Path, subfolders: list[Path]) -> Iterator[Entry]:
    parted = [sub for sub in subfolders if sub.name.lower() in SPLIT_FOLDERS]
    others = [sub.name for sub in subfolders if sub not in parted]
    if len(parted) > 1 and others:
        raise BadInput(
            f"'{folder}' holds the parts {parted[0].name}/ and {parted[1].name}/ and beside them "
            f"{others[0]}/; move that elsewhere, so that only parts or only classes are left."
        )
    for sub in subfolders:
        if others or not parted:
            yield from _entries_of_class(sub)
            continue
        for inner in _subfolders(sub):
            yield from _entries_of_class(inner, SPLIT_FOLDERS[sub.name.lower()])


def _entries_of_class(folder: Path, split: str = "") -> Iterator[Entry]:
    """The files of a class; a folder of volumes or DICOM files in it may be a patient's."""
    for file in _files(folder):
        names = file.relative_to(folder).parts[:-1]
        is_scan = names and (file.name.lower().endswith((".nii", ".nii.gz")) or holds_dicom(file))
        yield Entry(file, folder.name, split, folder=names[0] if is_scan else "")


def _negative(subfolders: list[Path]) -> str:
    """The class folder that means "no tumor", also below those of the parts; "" without one."""
    names = (
        inner.name
        for sub in subfolders
        for inner in (_subfolders(sub) if sub.name.lower() in SPLIT_FOLDERS else [sub])
    )
    return next(filter(means_none, names), "")


def _masks_by_name(named_as: Mapping[Path, str], pairs: Pairs) -> dict[str, set[Path]]:
    """The masks of the images in the folders of each name."""
    masks: dict[str, set[Path]] = defaultdict(set)
    for image, name in named_as.items():
        if name:
            masks[name].update(pairs.get(image, ()))
    return masks


def _patient_entries(root: Path, named_as: Mapping[Path, str], pairs: Pairs) -> Iterator[Entry]:
    """Images whose masks tell the label.

    Without a patient's folder, images that share a mask are of one patient.

    Args:
        named_as: the name of the patient's folder of each image, or "".
    """
    for image, name in named_as.items():
        parts = image.relative_to(root).parts[:-1]
        split = next((SPLIT_FOLDERS[n.lower()] for n in parts if n.lower() in SPLIT_FOLDERS), "")
        masks = pairs.get(image, ())
        label, negative = (WITH_TUMOR, WITHOUT_TUMOR) if masks else ("", "")
        case = name or stem(masks[0] if masks else image)
        yield Entry(image, label, split, case=case, masks=masks, negative=negative)


def _warn_of_masks(folder: Path, unused: set[Path]) -> None:
    if unused:
        logger.warning(
            "%d masks below %s, such as %s, belong to no image, or to one that has another mask, "
            "and are left out.",
            len(unused),
            folder,
            min(unused).name,
        )


def _warn_of_loose_files(folder: Path) -> None:
    loose = [item for item in folder.iterdir() if item.is_file() and is_candidate(item)]
    if loose:
        logger.warning(
            "%d files beside the subfolders of %s, such as %s, have no label and are left out.",
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
    # Names a folder that can't be opened.
    _subfolders(folder)
    return find_files([folder]) if any(folder.iterdir()) else []


def _cannot_open(folder: Path, error: OSError) -> BadInput:
    return BadInput(f"The folder '{folder}' can't be opened ({error.strerror}); allow reading it.")


def _check_distinct(table: Path, entries: Sequence[Entry]) -> None:
    """Check that no file is named twice, in whatever words."""
    seen: set[Path] = set()
    for entry in entries:
        plain = Path(os.path.normpath(entry.file.absolute()))
        if plain in seen:
            raise BadInput(f"The table '{table}' names '{entry.file}' twice; keep one of its rows.")
        seen.add(plain)


def _table_entries(file: Path) -> Iterator[Entry]:
    try:
        if file.suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            table = pd.read_csv(file, dtype="str", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"The table '{file}' can't be read: {error}.") from error
    for column in ("path",) if "mask" in table.columns else ("path", "label"):
        if column not in table.columns:
            raise BadInput(
                f"The table '{file}' lacks the column '{column}'; it needs path and label or mask, "
                "and may have patient and split, but it has "
                f"{', '.join(map(str, table.columns))}."
            )
    table = table.reindex(columns=["path", "label", "patient", "split", "mask"]).astype(object)
    table = table.where(table.notna(), "").astype("str")
    repeated = table["path"][table["path"].duplicated() & (table["path"] != "")]
    if len(repeated):
        raise BadInput(f"The table '{file}' names '{repeated.iat[0]}' twice; keep one of its rows.")
    negative = next(filter(means_none, table["label"]), WITHOUT_TUMOR)
    for row in table.itertuples(index=False):
        if not row.path or not (row.label or row.mask):
            raise BadInput(f"The table '{file}' has a row without a path or a label; complete it.")
        part = str(row.split)
        split = SPLIT_FOLDERS.get(part.lower(), "")
        if part and not split:
            raise BadInput(f"The table '{file}' has the split '{part}'; use train, val or test.")
        entry = Entry(
            file=file.parent / str(row.path),
            label=str(row.label) or WITH_TUMOR,
            split=split,
            patient=str(row.patient),
            masks=(file.parent / str(row.mask),) if row.mask else (),
            negative=negative if row.mask else "",
        )
        if entry.file.is_dir() and (files := _files(entry.file)):
            yield from (replace(entry, file=inner, folder=str(row.path)) for inner in files)
        else:
            yield entry
