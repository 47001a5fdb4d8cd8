"""From a folder or a table to a catalog: one row per slice, with nothing left out silently.

A file that can't be read keeps its row, with the reason in the column `problem`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from falx.data import facts
from falx.data.cache import FactCache, Rows, cache_folder
from falx.data.class_names import has_negative, order_classes
from falx.data.duplicates import components, equal_pairs, near_pairs
from falx.data.mask_labels import label_by_masks
from falx.data.mask_rule import MaskRule
from falx.data.masks import join_masks
from falx.data.placing import place_rows
from falx.data.read import read_slices
from falx.data.sources import Entry, class_names, entries_of
from falx.data.split import stratify
from falx.errors import UnreadableImage, UnusableData
from falx.image.crop import Box
from falx.parallel import in_parallel
from falx.progress import Listener, silent

logger = logging.getLogger(__name__)
_CHUNK = 256


@dataclass(frozen=True)
class Catalog:
    """A dataset as a table.

    Attributes:
        root: the folder that `path` is relative to.
        classes: names in order of their codes; of two, the second is the positive one.
        table: one row per slice; columns path, source (the dataset that it is of), label, split,
            case (what is of one patient by the layout), sha256, bytes, weak_label (whether the
            label is that of a whole volume), mask (see falx.data.masks.join_masks), tumor_area (in
            mm2, NaN without a mask), those of falx.data.facts.Facts and of
            falx.data.placing.place_rows, duplicates and group.
    """

    root: Path
    classes: tuple[str, ...]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> np.ndarray:
        """Class code of each row: int64 (rows,)."""
        codes = {name: code for code, name in enumerate(self.classes)}
        return self.table["label"].map(codes).to_numpy(np.int64)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each class, in the order of their codes."""
        return {name: int((self.table["label"] == name).sum()) for name in self.classes}

    @property
    def groups(self) -> np.ndarray:
        """Group of each row: int64 (rows,)."""
        return self.table["group"].to_numpy(np.int64)

    @property
    def source_names(self) -> tuple[str, ...]:
        """The datasets in it, in order."""
        return tuple(map(str, pd.unique(self.table["source"])))

    @property
    def sources(self) -> np.ndarray:
        """Source of each row, by its place in `source_names`: int64 (rows,)."""
        return pd.factorize(self.table["source"])[0].astype(np.int64)

    def strata(self, least: int) -> np.ndarray:
        """What to stratify rows by; see falx.data.split.stratify."""
        return stratify(self.labels, self.sources, self.groups, least)

    @property
    def name(self) -> str:
        """What it is called: its source, or all of them."""
        return " + ".join(self.source_names)

    def usable(self) -> Catalog:
        """The catalog without the rows that have a problem."""
        return replace(self, table=self.table[self.table["problem"] == ""].reset_index(drop=True))

    def digest(self) -> str:
        """A SHA-256 of content, labels and order of the slices, and of sources where several are.

        It does not depend on paths.
        """
        several = ["source"] if len(self.source_names) > 1 else []
        table = self.table[["sha256", "index", "label", "patient", *several]]
        return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()

    def file(self, row: int) -> Path:
        """The file that a row was read from."""
        return self.root / str(self.table["path"].iat[row])

    def head(self, row: int) -> Box:
        """The box around the head in a usable row, the same for all slices of a volume."""
        edges = self.table[["head_top", "head_left", "head_bottom", "head_right"]].iloc[row]
        return Box(*(int(edge) for edge in edges))

    def save(self, path: Path) -> None:
        """Write as Parquet, with root and classes in the file's metadata."""
        table = pa.Table.from_pandas(self.table, preserve_index=False)
        about = {"root": str(self.root), "classes": list(self.classes)}
        metadata = {**(table.schema.metadata or {}), b"falx": json.dumps(about).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), path)

    @classmethod
    def load(cls, path: Path) -> Catalog:
        """Read what `save` wrote."""
        saved = pq.read_table(path)
        about = json.loads(saved.schema.metadata[b"falx"])
        root, table = Path(about["root"]), saved.to_pandas()
        if "source" not in table:
            # A catalog of before there were several.
            table = table.assign(source=root.name)
        return cls(root, tuple(about["classes"]), table)


def build_catalog(
    data: str | Path,
    *,
    positive: str | None = None,
    min_classes: int = 2,
    masks: MaskRule | None = None,
    cache: Path | None = None,
    listener: Listener = silent,
) -> Catalog:
    """Every slice of a dataset, with its facts, its place in its volume, and its group.

    Args:
        data: a folder with one subfolder per class (also below `train/ val/ test/`), a folder of
            images with masks (see falx.data.mask_pairs), or a CSV or Parquet file with path, label
            and optionally patient, split and mask.
        positive: which of two classes is the positive one, if their names don't tell.
        min_classes: number of classes that the data must have.
        masks: when a slice with a mask counts as one with a tumor.
        cache: folder of the fact cache; by default FALX_CACHE or the system's.

    Raises:
        BadInput: the data can't be found or understood.
        UnusableData: it has too few classes, or no slice that can be used.
    """
    data = Path(data)
    root, entries = entries_of(data, min_classes=min_classes)
    classes = order_classes(class_names(entries), positive)
    table = read_rows(data, root, entries, masks=masks, cache=cache, listener=listener)
    return grouped(root, classes, table)


def read_rows(
    data: Path,
    root: Path,
    entries: Sequence[Entry],
    *,
    masks: MaskRule | None = None,
    cache: Path | None = None,
    listener: Listener = silent,
) -> pd.DataFrame:
    """The rows of a catalog for the files of one dataset, before those of several are joined.

    Args:
        data, masks, cache, listener: as for `build_catalog`.
        root, entries: see falx.data.sources.entries_of.

    Returns:
        All columns but weak_label, duplicates and group.

    Raises:
        UnusableData: no slice can be used.
    """
    digests = list(in_parallel(_digest, [entry.file for entry in entries], "Hashing", listener))
    known = _all_facts(entries, digests, cache or cache_folder(), listener)
    rows = []
    for entry, digest in zip(entries, digests, strict=True):
        of_file = known[digest] if digest else _no_rows("the file can't be opened for reading")
        if further := of_file[0]["further_volumes"]:
            logger.warning("%d further volumes of %s are left out", further, entry.file)
        columns = {**_entry_columns(entry, root), "sha256": digest or ""}
        rows += [{**row, **columns, "patient": _patient(entry, row)} for row in of_file]
    table = place_rows(pd.DataFrame(rows))
    table = label_by_masks(table, root, masks or MaskRule(), listener=listener)
    if (table["problem"] != "").all():
        raise UnusableData(
            f"None of the {len(entries)} files in '{data}' can be used; the first: "
            f"'{table['path'].iat[0]}', {table['problem'].iat[0]}."
        )
    return table


def grouped(root: Path, classes: tuple[str, ...], table: pd.DataFrame) -> Catalog:
    """A catalog of such rows, with weak labels, near-duplicates and groups."""
    table = table.assign(weak_label=weak_labels(table, classes))
    table = table.assign(duplicates=duplicate_rows(table))
    return Catalog(root, classes, table.assign(group=group_rows(table)))


def duplicate_rows(table: pd.DataFrame) -> np.ndarray:
    """The set of near-duplicates that each row belongs to: int64 (rows,).

    Rows share a set if they are identical or near-duplicates. A row with a problem and without an
    identical one is its own set.
    """
    usable = np.flatnonzero(table["problem"] == "")
    looks = (table[column].iloc[usable].tolist() for column in ("thumbnail", "keypoints", "volume"))
    content = table["sha256"].where(
        table["sha256"] == "", table["sha256"] + "/" + table["index"].astype(str)
    )
    return components(len(table), equal_pairs(content.tolist()), usable[near_pairs(*looks)])


def group_rows(table: pd.DataFrame) -> np.ndarray:
    """The group of each row: int64 (rows,).

    Rows share a group if they share a patient, a case, a study, a series, a volume, a file of
    several slices, their content, or a set of near-duplicates, which the column `duplicates` holds.
    """
    keys = ("patient", "case", "study", "series", "volume", "path", "sha256", "duplicates")
    return components(len(table), *(equal_pairs(table[key].astype(str).tolist()) for key in keys))


def weak_labels(table: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Which rows have a label that is that of a whole volume: bool (rows,).

    These are the rows of a volume, or of a file of several slices, that have no mask and all have
    the same label, unless that is "no tumor": it holds for each slice.
    """
    volume = table["volume"].where(table["volume"] != "", table["path"])
    several = (table["volume"] != "") | (table["frames"] > 1)
    one_label = table.groupby(volume)["label"].transform("nunique") == 1
    negative = has_negative(classes) & (table["label"] == classes[0])
    weak = (table["mask"] == "") & several & one_label & ~negative
    return weak.to_numpy(bool)


def shares_group_with(known: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Which rows of another dataset share a group with a row of a known one: bool (rows of other,).

    Patients and cases of the known one are ignored: in another dataset, they mean other people.
    Numbers of studies and series are unique in the world.
    """
    # The same path means another file here; no real path begins like this.
    known = known.assign(
        patient="",
        case="",
        path="//known/" + known["path"],
        volume=("//known/" + known["volume"]).where(known["volume"] != "", ""),
    )
    both = pd.concat([known, other], ignore_index=True)
    groups = group_rows(both.assign(duplicates=duplicate_rows(both)))
    return np.isin(groups[len(known) :], groups[: len(known)])


def below(file: Path, root: Path) -> str:
    """The path of a file below the root, or as it is where it lies elsewhere."""
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def _entry_columns(entry: Entry, root: Path) -> dict[str, object]:
    return {
        "path": below(entry.file, root),
        "source": root.name,
        "label": entry.label,
        "negative": entry.negative,
        "split": entry.split,
        "case": entry.case,
        "bytes": entry.file.stat().st_size if entry.file.exists() else 0,
        "mask": join_masks(below(mask, root) for mask in entry.masks),
    }


def _patient(entry: Entry, row: Mapping[str, object]) -> object:
    """The patient by the table, else by the image's tags, else by its folder."""
    return entry.patient or row["patient"] or entry.case or entry.folder


def _digest(file: Path) -> str | None:
    """The SHA-256 of a file, or None where it can't be opened."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            logger.warning("%s is not a regular file", file)
            return None
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        logger.warning("%s can't be opened: %s", file, error.strerror)
        return None


def _all_facts(
    entries: Sequence[Entry], digests: Sequence[str | None], folder: Path, listener: Listener
) -> dict[str, Rows]:
    """Facts by digest, from the cache where it has them."""
    files = {d: entry.file for d, entry in zip(digests, entries, strict=True) if d is not None}
    cache = _open_cache(folder)
    known = _cached(cache, list(files))
    unknown = [digest for digest in files if digest not in known]
    results = in_parallel(lambda d: _facts_of(files[d]), unknown, "Reading", listener)
    pairs = zip(unknown, results, strict=True)
    while fresh := dict(islice(pairs, _CHUNK)):
        known.update(fresh)
        _remember(cache, fresh)
    return known


def _cached(cache: FactCache | None, digests: Sequence[str]) -> dict[str, Rows]:
    try:
        return cache.get(digests) if cache else {}
    except sqlite3.Error as error:
        _warn_of_cache(error)
        return {}


def _remember(cache: FactCache | None, fresh: Mapping[str, Rows]) -> None:
    """Keep facts, but not of unreadable files: the reason names one path and may be temporary."""
    read = {digest: rows for digest, rows in fresh.items() if rows[0]["thumbnail"]}
    try:
        if cache and read:
            cache.put(read)
    except sqlite3.Error as error:
        _warn_of_cache(error)


def _open_cache(folder: Path) -> FactCache | None:
    try:
        return FactCache(folder, facts.VERSION)
    except (OSError, sqlite3.Error) as error:
        _warn_of_cache(error)
        return None


def _warn_of_cache(error: Exception) -> None:
    logger.warning(
        "The cache can't be used (%s), so files are read anew; falx doctor shows where it is.",
        error,
    )


def _facts_of(file: Path) -> Rows:
    try:
        return [facts.measure(slice_).row() for slice_ in read_slices(file)]
    except UnreadableImage as error:
        return _no_rows(str(error))


def _no_rows(problem: str) -> Rows:
    """The one row of a file that can't be read."""
    return [facts.Facts(problem=problem).row()]
