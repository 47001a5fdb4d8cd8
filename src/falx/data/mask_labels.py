"""Labels of slices from masks: how much tumor a slice must show to count as one with a tumor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falx.data.class_names import means_none
from falx.data.mask_rule import MaskRule
from falx.data.masks import Masks, read_masks
from falx.data.placing import rows_of
from falx.errors import UnreadableImage
from falx.parallel import in_parallel
from falx.progress import Listener, silent

NO_MASK = "no mask outlines it, so that its label is unknown"
NO_CLASS = "its mask shows no tumor, and no class is without one"
TOO_LITTLE = "it shows less tumor than counts as one"
CONTRADICTED = "its label says that there is no tumor, and its mask outlines one"
TOO_NEAR = "it shows no tumor, but lies next to a slice that does"


def label_by_masks(
    table: pd.DataFrame, root: Path, rule: MaskRule, *, listener: Listener = silent
) -> pd.DataFrame:
    """A catalog's table with labels from masks, and the area of tumor in each slice.

    Args:
        table: with the columns of a placed catalog, and `mask` (see falx.data.masks.join_masks),
            paths below the root; `label`, the class of slices with a tumor; `negative`, that of the
            others, or "" where there is none.

    Returns:
        The same with tumor_area, float, NaN without a mask; `label` as the area says; and a problem
        for slices that are neither. The column `negative` is gone.
    """
    areas = np.full(len(table), np.nan)
    problems = table["problem"].to_numpy(dtype=object)
    masks = table["mask"].to_numpy(dtype=object)

    paths = table["path"].to_numpy(dtype=object)

    def measure(rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, str]]:
        """Areas in the images that share a mask, or why one has none."""
        files = [rows[of_file] for of_file in rows_of(paths[rows])]
        try:
            found = read_masks(root, str(masks[rows[0]]), plane=str(table["plane"].iat[rows[0]]))
        except UnreadableImage as error:
            return [(rows, np.full(len(rows), np.nan), str(error))]
        return [_areas(found, root / str(paths[file[0]]), table, file) for file in files]

    keys = np.where(masks == "", "", masks + "\n\n" + table["plane"].to_numpy(dtype=object))
    keys = np.where(problems == "", keys, "")
    for measured in in_parallel(measure, rows_of(keys), "Reading masks", listener):
        for rows, found, problem in measured:
            areas[rows] = found
            unknown = rows[np.isnan(found)]
            problems[unknown] = problem or NO_MASK
    problems = _neither(table, areas, problems, rule)
    contradicted = (areas >= max(rule.tumor_area, 1e-9)) & table["label"].map(means_none)
    problems[contradicted & (problems == "")] = CONTRADICTED
    without = np.isfinite(areas) & ((areas == 0) | (areas < rule.tumor_area))
    labels = np.where(without, table["negative"], table["label"])
    problems[without & (labels == "") & (problems == "")] = NO_CLASS
    problems[(labels == "") & (problems == "")] = NO_MASK
    return table.assign(tumor_area=areas, label=labels, problem=problems).drop(columns="negative")


def _areas(
    masks: Masks, image: Path, table: pd.DataFrame, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str]:
    """The rows of one image, the area of tumor in each, and why it is unknown, or ""."""
    try:
        found = [_area(masks, row) for row in table.iloc[rows].itertuples(index=False)]
        masks.check_place(image)
    except UnreadableImage as error:
        return rows, np.full(len(rows), np.nan), str(error)
    return rows, np.array(found), ""


def _area(masks: Masks, row: Any) -> float:
    """Area of the tumor in a slice, in mm2, or in pixels where their size is unknown.

    NaN where no mask covers the slice.
    """
    outline = masks.outline(row.index, row.uid, (row.height, row.width), row.frames)
    if outline is None:
        return math.nan
    return float(outline.sum()) * (row.spacing**2 if row.spacing > 0 else 1.0)


def _neither(
    table: pd.DataFrame, areas: np.ndarray, problems: np.ndarray, rule: MaskRule
) -> np.ndarray:
    """Problems, with those of slices that are neither with nor without a tumor."""
    found = problems.copy()
    found[(areas > 0) & (areas < rule.tumor_area) & (problems == "")] = TOO_LITTLE
    if not rule.tumor_margin:
        return found
    positions = table["position"].to_numpy(float)
    for rows in rows_of(table["volume"].to_numpy(dtype=object)):
        with_tumor = positions[rows[areas[rows] > 0]]
        if len(with_tumor):
            nearest = np.abs(positions[rows][:, None] - with_tumor).min(axis=1)
            near = rows[(nearest <= rule.tumor_margin) & (areas[rows] == 0)]
            found[near] = np.where(found[near] == "", TOO_NEAR, found[near])
    return found
