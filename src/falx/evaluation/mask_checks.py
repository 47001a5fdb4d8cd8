"""What tumor masks say of a detector: localization of its heat maps, and tumor occlusion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.data.catalog import Catalog
from falx.data.read import read_slices
from falx.data.slices import Slice
from falx.detect.detector import Detector
from falx.detect.heat_map import HeatMap
from falx.errors import BadInput
from falx.evaluation.localization import LocalizationScores, score_localization
from falx.evaluation.occlusion import OcclusionScores, occluded_views, score_occlusion
from falx.progress import Listener, Progress


@dataclass(frozen=True)
class MaskScores:
    """How well heat maps agree with masks, and what occluding the tumor does to predictions."""

    localization: LocalizationScores
    occlusion: OcclusionScores


def check_masks(masks: Path, classes: tuple[str, ...]) -> None:
    """Check that there are masks, and a detector that they apply to.

    Raises:
        BadInput: there are none, or the detector has more than two classes.
    """
    if not masks.is_dir():
        raise BadInput(
            f"'{masks}' is no folder; name one that holds masks under the paths of their slices."
        )
    if len(classes) != 2:
        raise BadInput(
            "Masks are of one class, and the detector has more than two; leave them out."
        )


def score_masks(detector: Detector, usable: Catalog, masks: Path, listener: Listener) -> MaskScores:
    """Compare heat maps with masks, and inpaint the tumors that masks outline.

    Args:
        detector: of two classes.
        usable: its positive slices with a mask count; those whose mask is empty are left out, and
            of heat maps also those that are out-of-distribution.
        masks: a folder with a mask under the path of each slice.

    Raises:
        BadInput: nothing is left, or a mask is of another size than its slice.
    """
    heat_maps: list[HeatMap] = []
    outlines: list[np.ndarray] = []
    groups: list[int] = []
    occluded: list[np.ndarray] = []
    occluded_groups: list[int] = []
    rejected = 0
    for slice_, outline, group in _outlined(usable, masks, listener):
        views = occluded_views(slice_.pixels, outline, detector.settings.rendering)
        if views is not None:
            occluded.append(views)
            occluded_groups.append(group)
        (finding,) = detector.predict_slices([slice_], maps="flip_tta")
        if finding.heat_map is None:
            rejected += 1
            continue
        heat_maps.append(finding.heat_map)
        outlines.append(outline)
        groups.append(group)
    if rejected and not heat_maps:
        raise BadInput(
            f"All {rejected} slices with a tumor and a mask are out-of-distribution for the "
            "detector, so there is no heat map to compare with a mask; leave --masks out."
        )
    outlined = len(heat_maps) + rejected
    return MaskScores(
        score_localization(heat_maps, outlines, groups),
        score_occlusion(detector.probabilities, occluded, occluded_groups, outlined=outlined),
    )


def _outlined(
    usable: Catalog, masks: Path, listener: Listener
) -> Iterator[tuple[Slice, np.ndarray, int]]:
    """Positive slices with a mask that is not empty, bool (height, width), and their group."""
    positive = usable.table.assign(group=usable.groups)[usable.labels == 1]
    files = positive.groupby("path", sort=False)
    for number, (path, rows) in enumerate(files, start=1):
        listener(Progress("Masks", number, len(files)))
        relative = Path(str(path))
        if relative.is_absolute() or ".." in relative.parts:
            raise BadInput(f"'{path}' is not below the data's folder, so no mask can be found.")
        if not (masks / relative).is_file():
            continue
        outlines = {each.index: each.pixels > 0 for each in read_slices(masks / relative)}
        slices = {each.index: each for each in read_slices(usable.root / relative)}
        for index, group in zip(rows["index"], rows["group"], strict=True):
            outline = outlines.get(index)
            if outline is None or outline.shape != slices[index].pixels.shape:
                raise BadInput(
                    f"The mask '{masks / relative}' is not of the size of '{path}'; mend or remove "
                    "it."
                )
            if outline.any():
                yield slices[index], outline, int(group)
