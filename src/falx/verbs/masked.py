"""What a detector makes of slices whose tumor somebody has outlined."""

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
from falx.evaluation.explain import MapScores, score_maps
from falx.evaluation.hiding import HiddenTumors, hide, score_hidden
from falx.progress import Listener, Progress


@dataclass(frozen=True)
class MaskScores:
    """How well heat maps agree with masks, and what is left of an answer without the tumor."""

    maps: MapScores
    hidden: HiddenTumors


def check_masks(masks: Path, classes: tuple[str, ...]) -> None:
    """See that there are masks, and a detector that they can be held to.

    Raises:
        BadInput: there are none.
    """
    if not masks.is_dir():
        raise BadInput(
            f"'{masks}' is no folder; name one that holds masks under the paths of their slices."
        )
    if len(classes) != 2:
        raise BadInput(
            "Masks are of one class, and the detector has more than two; leave them out."
        )


def score_masked(
    detector: Detector, usable: Catalog, masks: Path, listener: Listener
) -> MaskScores:
    """Compare heat maps with masks, and paint over what is in these.

    Args:
        detector: of two classes.
        usable: its positive slices that have a mask count; those whose mask is empty are left out,
            and of heat maps also those that are foreign.
        masks: a folder with a mask under the path of each slice.

    Raises:
        BadInput: nothing is left, or a mask is of another size than its slice.
    """
    maps: list[HeatMap] = []
    outlines: list[np.ndarray] = []
    groups: list[int] = []
    hidden: list[np.ndarray] = []
    hidden_groups: list[int] = []
    refused = 0
    for slice_, outline, group in _outlined(usable, masks, listener):
        variants = hide(slice_.pixels, outline, detector.settings.rendering)
        if variants is not None:
            hidden.append(variants)
            hidden_groups.append(group)
        (finding,) = detector.find([slice_], maps="mirrored")
        if finding.heat_map is None:
            refused += 1
            continue
        maps.append(finding.heat_map)
        outlines.append(outline)
        groups.append(group)
    if refused and not maps:
        raise BadInput(
            f"All slices with a tumor and a mask ({refused}) are foreign to the detector, so there "
            "is no heat map to compare with a mask; leave --masks out."
        )
    return MaskScores(
        maps=score_maps(maps, outlines, groups),
        hidden=score_hidden(detector.probabilities, hidden, hidden_groups, of=len(maps) + refused),
    )


def _outlined(
    usable: Catalog, masks: Path, listener: Listener
) -> Iterator[tuple[Slice, np.ndarray, int]]:
    """Positive slices with a mask that is not empty, bool (height, width), and their group."""
    positive = usable.table.assign(group=usable.groups)[usable.labels == 1]
    files = positive.groupby("path", sort=False)
    for number, (path, rows) in enumerate(files, start=1):
        listener(Progress("Masks", number, len(files)))
        named = Path(str(path))
        if named.is_absolute() or ".." in named.parts:
            raise BadInput(f"'{path}' is not below the data's folder, so no mask can be found.")
        if not (masks / named).is_file():
            continue
        outlined = {each.index: each.pixels > 0 for each in read_slices(masks / named)}
        shown = {each.index: each for each in read_slices(usable.root / named)}
        for index, group in zip(rows["index"], rows["group"], strict=True):
            outline = outlined.get(index)
            if outline is None or outline.shape != shown[index].pixels.shape:
                raise BadInput(
                    f"The mask '{masks / named}' is not of the size of '{path}'; mend or remove it."
                )
            if outline.any():
                yield shown[index], outline, int(group)
