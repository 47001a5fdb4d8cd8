"""Which predicted slices count as one group in the site check: a patient's, a study's, a file's."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from falx.data.patient_folders import first_folder, levels_above_patients
from falx.detect.finding import Finding

_NAMES_PATIENT = re.compile(r"\d|^sub-")


def groups_of(findings: Sequence[Finding]) -> np.ndarray:
    """The group of each slice, int (n,): its patient's folder, else its study, else its file.

    A folder is taken for a patient's if there is a digit in its name, or if it is called `sub-...`
    as in BIDS (Gorgolewski et al., Scientific Data 3, 2016). Near-duplicates are not looked for.
    """
    files = [finding.path.absolute() for finding in findings]
    folders = _patient_folders(sorted(set(files)))
    keys = [
        folders[file] or finding.study or str(file)
        for file, finding in zip(files, findings, strict=True)
    ]
    groups: np.ndarray = np.unique(keys, return_inverse=True)[1]
    return groups


def _patient_folders(files: Sequence[Path]) -> dict[Path, str]:
    """The name of the folder of each file's patient below the folder that holds all, or ""."""
    try:
        root = Path(os.path.commonpath([file.parent for file in files]))
    except ValueError:
        # On several drives, no folder holds all.
        return dict.fromkeys(files, "")
    levels = levels_above_patients(root, files)
    names = {file: first_folder(root, file, levels) for file in files}
    return {file: name if _NAMES_PATIENT.search(name) else "" for file, name in names.items()}
