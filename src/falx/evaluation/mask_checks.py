"""What tumor masks say of a detector: localization of its heat maps, and tumor occlusion."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.class_names import has_negative
from falx.data.mask_labels import NO_CLASS, NO_MASK, TOO_LITTLE, TOO_NEAR, label_by_masks
from falx.data.mask_pairs import masks_in, segmentations_in
from falx.data.mask_rule import MaskRule
from falx.data.masks import join_masks, read_mask
from falx.data.outlines import outlined_files, sorted_by_masks
from falx.data.slices import Slice
from falx.data.sources import WITHOUT_TUMOR
from falx.detect.detector import Detector
from falx.detect.heat_map import HeatMap
from falx.errors import BadInput, UnreadableImage
from falx.evaluation.localization import LocalizationScores, score_localization
from falx.evaluation.occlusion import OcclusionScores, occluded_views, score_occlusion
from falx.evaluation.regions import MappedSlice, RegionScores, score_regions
from falx.image.crop import Box
from falx.image.render import render_with_region
from falx.progress import Listener, Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskScores:
    """How well heat maps agree with masks, and what occluding the tumor does to predictions.

    Attributes:
        regions: of a localization head; None for other detectors.
    """

    localization: LocalizationScores
    occlusion: OcclusionScores
    regions: RegionScores | None


def attach_masks(catalog: Catalog, folder: Path, rule: MaskRule) -> Catalog:
    """A catalog whose column `mask` names the masks in a folder, of the images that have any.

    Slices with a label of a whole volume get one of their own from these masks.

    Raises:
        BadInput: the folder does not exist, or holds no mask of any image.
        UnreadableImage: the mask of a volume can't be read, or is of another size or place.
    """
    if not folder.is_dir():
        raise BadInput(
            f"'{folder}' is no folder; name one that holds masks under the paths of their images."
        )
    table = catalog.table
    paths = [catalog.root / path for path in table["path"]]
    found = masks_in(folder.absolute(), catalog.root, paths)
    named = [join_masks(map(str, found.get(path, ()))) for path in paths]
    masks = pd.Series(named, table.index, dtype=object)
    masks = masks.where(masks != "", _segmentations(table, folder.absolute()))
    if not (masks != "").any():
        raise BadInput(
            f"'{folder}' holds no mask of an image of '{catalog.root}'; a mask lies in "
            "FOLDER/<path of its image>."
        )
    return _labeled(replace(catalog, table=table.assign(mask=masks)), rule)


def _labeled(catalog: Catalog, rule: MaskRule) -> Catalog:
    """A catalog whose weak labels are replaced by those from masks."""
    table, classes = catalog.table, catalog.classes
    weak = (table["weak_label"] & (table["mask"] != "") & (table["problem"] == "")).to_numpy(bool)
    if not weak.any():
        return catalog
    negative = classes[0] if has_negative(classes) else WITHOUT_TUMOR if len(classes) == 1 else ""
    part = label_by_masks(table[weak].assign(negative=negative), catalog.root, rule)
    for problem in set(part["problem"]) - {"", NO_MASK, NO_CLASS, TOO_LITTLE, TOO_NEAR}:
        raise UnreadableImage(problem)
    columns = ["label", "problem", "tumor_area"]
    labeled = table.assign(weak_label=table["weak_label"] & ~weak)
    labeled.loc[weak, columns] = part[columns]
    names = classes if negative in ("", *classes) else (negative, *classes)
    return replace(catalog, table=labeled, classes=names)


def _segmentations(table: pd.DataFrame, folder: Path) -> pd.Series:
    """The DICOM segmentations that name each DICOM slice as their source, or ""."""
    found: list[list[str]] = [[] for _ in table.index]
    dicom = np.flatnonzero((table["format"] == "dicom") & (table["problem"] == "")).tolist()
    indices, uids = table["index"].tolist(), table["uid"].tolist()
    for file in segmentations_in(folder) if len(dicom) else []:
        mask = read_mask(file)
        for row in dicom:
            if mask.covers(indices[row], uids[row]):
                found[row].append(str(file))
    return pd.Series([join_masks(files) for files in found], table.index, dtype=object)


def score_masks(
    detector: Detector, usable: Catalog, listener: Listener, *, required: bool
) -> MaskScores | None:
    """Compare heat maps with masks, and inpaint the tumors that masks outline.

    Args:
        detector: of two classes.
        usable: its positive slices with a mask count; those whose mask is empty are left out, and
            of heat maps also those that are out-of-distribution.
        required: whether it is an error that nothing is left; else the result is None.

    Raises:
        BadInput: nothing is left though it is required, or the detector has more than two classes.
        UnreadableImage: a mask can't be read, or is of another size or place than its slice.
    """
    if len(detector.settings.classes) != 2:
        raise BadInput(
            "Masks are of one class, and the detector has more than two; leave them out."
        )
    heat_maps: list[HeatMap] = []
    outlines: list[np.ndarray] = []
    groups: list[int] = []
    occluded: list[np.ndarray] = []
    occluded_groups: list[int] = []
    rejected = 0
    for slice_, head, outline, group in _outlined(usable, listener):
        views = occluded_views(slice_.pixels, outline, detector.settings.rendering, head)
        if views is not None:
            occluded.append(views)
            occluded_groups.append(group)
        (finding,) = detector.predict_slices([slice_], heads=[head], maps="flip_tta")
        if finding.heat_map is None:
            rejected += 1
            continue
        heat_maps.append(finding.heat_map)
        outlines.append(outline)
        groups.append(group)
    if rejected and not heat_maps:
        nothing = (
            f"All {rejected} slices with a tumor and a mask are out-of-distribution for the "
            "detector, so there is no heat map to compare with a mask"
        )
        if required:
            raise BadInput(f"{nothing}; leave --masks out.")
        logger.warning("%s.", nothing)
        return None
    outlined = len(heat_maps) + rejected
    return MaskScores(
        score_localization(heat_maps, outlines, groups),
        score_occlusion(detector.probabilities, occluded, occluded_groups, outlined=outlined),
        score_regions(_mapped(detector, usable, listener)) if detector.settings.localizes else None,
    )


def _mapped(detector: Detector, usable: Catalog, listener: Listener) -> Iterator[MappedSlice]:
    """The maps of all slices of which it is known where their tumor is, by volume and level."""
    table = usable.table.assign(row=np.arange(len(usable)))
    table = table[(usable.labels != 1) | (table["mask"] != "")]
    table = table.sort_values(["volume", "level", "path", "index"], kind="stable")
    volumes, files = usable.table["volume"], table["path"].nunique()
    for done, file in enumerate(outlined_files(usable, table["row"].to_numpy()), 1):
        listener(Progress("Regions", done, files))
        for row, slice_ in file.slices.items():
            rendering, head = detector.settings.rendering, usable.head(row)
            known = file.outline(row)
            view, region = render_with_region(slice_.pixels, rendering, head)
            (evidence,) = detector.evidence(view[None], [1])
            yield MappedSlice(
                evidence,
                region,
                np.zeros(slice_.pixels.shape, bool) if known is None else known,
                str(volumes.iat[row]),
                int(usable.groups[row]),
                slice_.spacing,
            )


def _outlined(usable: Catalog, listener: Listener) -> Iterator[tuple[Slice, Box, np.ndarray, int]]:
    """Positive slices with a mask that is not empty, with head, bool (height, width), and group."""
    table = usable.table.assign(row=np.arange(len(usable)))
    outlined = table[(usable.labels == 1) & (table["mask"] != "")]
    files = outlined["path"].nunique()
    rows = sorted_by_masks(usable, outlined["row"].to_numpy())
    for done, file in enumerate(outlined_files(usable, rows), 1):
        listener(Progress("Masks", done, files))
        for row, slice_ in file.slices.items():
            outline = file.outline(row)
            if outline is not None and outline.any():
                yield slice_, usable.head(row), outline, int(usable.groups[row])
        if file.masks:
            file.masks.check_place(file.path)
