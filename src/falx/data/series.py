"""Which files belong together: those of one DICOM series; any other file is alone."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path

from falx.data.read import holds_dicom


def group_by_series(files: Iterable[Path], executor: Executor) -> list[tuple[Path, ...]]:
    """Files of one DICOM series together, in the order of their first; any other file alone.

    Series of two patients or studies are two, though anonymizers may give them one number. A file
    that can't be opened is alone: it is named when it is read.
    """
    named = list(files)
    groups: dict[tuple[str, ...], list[Path]] = {}
    for file, series in zip(named, executor.map(_series_of, named), strict=True):
        groups.setdefault(series or (str(file),), []).append(file)
    return [tuple(members) for members in groups.values()]


def _series_of(file: Path) -> tuple[str, ...]:
    """What names the series of a DICOM file; empty for any other file."""
    if not holds_dicom(file):
        return ()
    from falx.data.dicom import series_numbers

    patient, study, series = series_numbers(file)
    return (patient, study, series) if series else ()
