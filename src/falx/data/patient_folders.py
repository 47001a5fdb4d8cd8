"""Which folders of a dataset are one patient's, and which are classes, where there are masks."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from falx.data.class_names import means_any, means_none
from falx.data.mask_pairs import IMAGE_FOLDERS, MASK_WORDS
from falx.errors import BadInput

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}

KINDS = frozenset(
    {"glioma", "meningioma", "pituitary", "glioblastoma", "gbm", "astrocytoma", "ependymoma"}
    | {"oligodendroglioma", "medulloblastoma", "schwannoma", "neurocytoma", "lymphoma"}
    | {"metastasis", "metastases", "adenoma", "carcinoma", "benign", "malignant"}
)
"""Words that name a kind of tumor, and so a class."""

_BESIDE_PATIENTS = IMAGE_FOLDERS | MASK_WORDS | SPLIT_FOLDERS.keys()
"""Names of folders that say nothing about patients."""

_DIGIT = re.compile(r"\d")
_WITHIN_PATIENT = re.compile(
    r"t[12]|ses|scan|series|visit|study|date|day|week|month|time|[\d\-_. ]{4,}$", re.IGNORECASE
)
"""How folders of one patient begin: sequences, visits, and dates of digits alone."""


def first_folder(root: Path, file: Path, levels: Collection[Path]) -> str:
    """The name of the first folder that may be a class or a patient's, or "".

    In BIDS, that is `sub-...`, wherever it lies (Gorgolewski et al., Scientific Data 3, 2016).

    Args:
        levels: folders of patients (see `levels_above_patients`).
    """
    folder, names = root, file.relative_to(root).parts[:-1]
    for name in names:
        if name.lower().startswith("sub-"):
            return name
    for name in names:
        folder /= name
        if name.lower() not in _BESIDE_PATIENTS and folder not in levels:
            return name
    return ""


def levels_above_patients(root: Path, files: Sequence[Path]) -> frozenset[Path]:
    """Folders that hold one folder a patient, such as `HGG/` or `baseline/`.

    Their own names hold no digit and are no class, they hold no files, and all folders in them hold
    files and have a digit in their names, but are no dates, visits or sequences. Any other folder
    counts as a patient's: to take several patients for one makes no leak.

    Args:
        files: all below the root.
    """
    holding = {file.parent for file in files}
    inner: dict[Path, set[Path]] = {}
    for folder in holding:
        while folder != root:
            inner.setdefault(folder.parent, set()).add(folder)
            folder = folder.parent
    return frozenset(
        folder
        for folder, below in inner.items()
        if folder not in holding | {root} and below <= holding and _holds_patients(folder, below)
    )


def are_classes(root: Path, masks: Mapping[str, Collection[Path]]) -> bool:
    """Whether the folders of images with masks, none of them "no tumor", are classes.

    They are if all are named like kinds of tumors, and patients' if the name of any holds a digit.

    Args:
        masks: of the images in each folder that may be a class or a patient's, by its name.

    Raises:
        BadInput: they may be either.
    """
    if masks and all(map(_means_class, masks)):
        return True
    if any(map(_DIGIT.search, masks)) or all(len(found) < 2 for found in masks.values()):
        return False
    shown = "/ and ".join(sorted(masks)[:2])
    raise BadInput(
        f"'{root}' holds images with masks in {shown}/, which may be kinds of tumors or patients; "
        "name patients with a number, as in P1/, or give a table with the columns path, label, "
        "patient and mask."
    )


def _means_class(name: str) -> bool:
    plain = name.lower().replace(" ", "_").removesuffix("_tumor")
    return plain in KINDS or ((means_any(name) or means_none(name)) and not _DIGIT.search(name))


def _holds_patients(folder: Path, below: Collection[Path]) -> bool:
    own = folder.name
    return not (_DIGIT.search(own) or _means_class(own)) and all(
        _DIGIT.search(inner.name) and not _WITHIN_PATIENT.match(inner.name) for inner in below
    )
