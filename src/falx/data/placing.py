"""The volumes of a catalog: which rows belong to one, and where in it they lie."""

from __future__ import annotations

import numpy as np
import pandas as pd

from falx.data.volumes import REPEATED, place
from falx.image.crop import Box

_MIN_SHARE = 0.1


def place_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A table of facts with the columns volume, level, region, head_top, ..., head_right.

    Slices of one series, or of one file, whose position is known are a volume: they share one box
    of the head. A second slice at the same position has a problem.

    Args:
        table: one row per slice; columns path and those of falx.data.facts.Facts.
    """
    volumes = volume_keys(table)
    levels, regions = np.full(len(table), np.nan), np.full(len(table), "", dtype=object)
    boxes = np.array([head or (0, 0, 1, 1) for head in table["head"]], np.int64)
    problems = table["problem"].to_numpy(dtype=object)
    for rows in rows_of(volumes):
        part = table.iloc[rows]
        placed = place(
            part["position"].to_numpy(float),
            part["head_area"].to_numpy(float),
            [Box(*extent) if len(extent) else None for extent in part["extent"]],
            axial=bool((part["plane"] == "axial").all()),
            order=part["instance"].to_numpy(),
        )
        levels[rows], regions[rows] = placed.levels, placed.regions
        if placed.head:
            boxes[rows] = (
                placed.head.top, placed.head.left, placed.head.bottom, placed.head.right,
            )  # fmt: skip
        again = rows[placed.repeated]
        problems[again] = np.where(problems[again] == "", REPEATED, problems[again])
    top, left, bottom, right = boxes.T
    return table.assign(
        volume=volumes, level=levels, region=regions, problem=problems,
        head_top=top, head_left=left, head_bottom=bottom, head_right=right,
    ).drop(columns=["head", "extent"])  # fmt: skip


def volume_keys(table: pd.DataFrame) -> np.ndarray:
    """What names the volume of each row, or "" for a single slice or an unusable one: str (rows,).

    A series that holds several planes or sizes, as localizers do, is several volumes, and so is one
    with the same position in several folders: these are copies. Where each folder has positions of
    its own, as after sorting into yes/ and no/, it stays one volume.
    """
    placed = table["position"].notna() & (table["problem"] == "")
    folder = table["path"].str.rpartition("/")[0]
    shape = table["height"].astype(str) + " x " + table["width"].astype(str)
    at = [table["series"], table["plane"], shape, table["position"].round(2)]
    copied = folder.where(placed).groupby(at, dropna=False).transform("nunique") > 1
    several = copied.groupby(table["series"]).transform("any")
    series = table["series"].where(~several, table["series"] + " in " + folder)
    # Anonymizers may give series of several patients or studies one number.
    owner = table["patient"] + " " + table["study"]
    shared = owner.groupby(table["series"]).transform("nunique") > 1
    series = series.where(~shared, series + " of " + owner)
    source = series.where(table["series"] != "", table["path"])
    keys = source + ", " + table["plane"] + ", " + shape
    keys = keys.where(keys.groupby(source).transform("nunique") > 1, source)
    keys = keys.where(placed, "")
    return keys.where(keys.duplicated(keep=False), "").to_numpy(dtype=object)


def planes_of(table: pd.DataFrame) -> tuple[str, ...]:
    """The planes that hold at least a tenth of the slices whose plane is known, sorted."""
    shares = table["plane"][table["plane"] != ""].value_counts(normalize=True)
    return tuple(sorted(str(plane) for plane in shares.index[shares >= _MIN_SHARE]))


def rows_of(keys: np.ndarray) -> list[np.ndarray]:
    """The rows of each key that is not empty, in order of appearance."""
    named = np.flatnonzero(keys != "")
    groups = pd.Series(named).groupby(keys[named], sort=False)
    return [rows.to_numpy() for _, rows in groups]
