"""A slice beside itself under its heat map, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from falx.data.read import read_slices
from falx.detect.finding import Finding
from falx.detect.heat_map import HeatMap
from falx.errors import BadInput
from falx.progress import Listener, Progress, silent

_HEIGHT = 384
_GAP = 12
_BAR = 16
_TEXT = 44
_LINE = 28
_OPACITY = 0.55
_OUTLINE = (255, 255, 255)


def write_overlays(
    findings: Sequence[Finding], folder: Path, *, listener: Listener = silent
) -> None:
    """Write a picture a finding, NUMBER-NAME.png, numbered in the order of the findings.

    Foreign slices have no evidence, and are shown as they are.

    Raises:
        BadInput: the folder can't be written or holds something, or a slice is gone since it was
            read.
    """
    make_folder(folder)
    number = 0
    for path, of_file in groupby(findings, key=lambda finding: finding.path):
        slices = {slice_.index: slice_ for slice_ in read_slices(path)}
        for finding in of_file:
            number += 1
            if finding.index not in slices:
                raise BadInput(f"'{path}' changed while falx was using it; run again.")
            picture = draw_overlay(
                slices[finding.index].pixels, finding.heat_map, _caption(finding)
            )
            name = f"{number:04d}-{path.stem}{f'-{finding.index}' if len(slices) > 1 else ''}"
            (folder / f"{name}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            listener(Progress("Drawing", number, len(findings)))


def make_folder(folder: Path) -> None:
    """Make the folder for pictures, so that nothing is predicted in vain.

    Raises:
        BadInput: it can't be made, or holds something.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(
            f"'{folder}' can't be made, since a file is in its way; name another folder."
        ) from error
    if any(folder.iterdir()):
        raise BadInput(f"'{folder}' is not empty; name another folder or clear it.")


def draw_overlay(pixels: np.ndarray, heat_map: HeatMap | None, caption: str = "") -> np.ndarray:
    """The slice, the slice under its heat map, and a bar of colors: uint8 (412, width, 3), BGR.

    Colors are Inferno, which is uniform to the eye, from no evidence to the slice's strongest; the
    white line runs where evidence is half of that. The bar's numbers are shares of the logit, each
    that of one of the network's places, smoothed over its neighbors.

    Args:
        pixels: float32 (height, width), [0, 1].
        heat_map: None where there is no evidence to show.
    """
    scale = _HEIGHT / pixels.shape[0]
    size = (max(1, round(pixels.shape[1] * scale)), _HEIGHT)
    grey = cv2.resize(np.rint(pixels * 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    shares = heat_map.on_slice() if heat_map else np.zeros(pixels.shape, np.float32)
    heat = cv2.resize(shares, size, interpolation=cv2.INTER_LINEAR)
    strongest = float(heat.max())
    plain = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    level = np.rint(255 * heat / strongest).astype(np.uint8) if strongest else np.zeros_like(grey)
    # The stronger the evidence, the more color.
    cover = (_OPACITY * level / 255)[..., None]
    mixed = plain * (1 - cover) + cv2.applyColorMap(level, cv2.COLORMAP_INFERNO) * cover
    covered = np.rint(mixed).astype(np.uint8)
    if strongest:
        half = (level >= 128).astype(np.uint8)
        outlines, _ = cv2.findContours(half, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(covered, outlines, -1, _OUTLINE, 1, cv2.LINE_AA)
    gap = np.zeros((_HEIGHT, _GAP, 3), np.uint8)
    picture = np.hstack([plain, gap, covered, gap, _bar(strongest)])
    if heat_map and not strongest:
        caption = "; ".join(filter(None, (caption, "no place speaks for it")))
    return np.vstack([picture, _line(caption, picture.shape[1])])


def _caption(finding: Finding) -> str:
    if finding.label is None:
        return f"{finding.path.name}: foreign, no answer"
    positive = list(finding.probabilities)[1] if len(finding.probabilities) == 2 else finding.label
    words = f"{finding.path.name}: {finding.label}, p({positive}) {finding.probability:.3f}"
    return f"{words}, refer" if finding.status == "refer" else words


def _line(text: str, width: int) -> np.ndarray:
    strip = np.zeros((_LINE, width, 3), np.uint8)
    # OpenCV's letters are ASCII.
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(strip, plain, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _OUTLINE, 1, cv2.LINE_AA)
    return strip


def _bar(strongest: float) -> np.ndarray:
    bar = np.zeros((_HEIGHT, _BAR + _TEXT, 3), np.uint8)
    levels = np.linspace(255, 0, _HEIGHT).round().astype(np.uint8)
    bar[:, :_BAR] = cv2.applyColorMap(
        np.repeat(levels[:, None], _BAR, axis=1), cv2.COLORMAP_INFERNO
    )
    for value, line in ((strongest, 12), (strongest / 2, _HEIGHT // 2 + 4), (0.0, _HEIGHT - 4)):
        place = (_BAR + 4, line)
        cv2.putText(
            bar, f"{value:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _OUTLINE, 1, cv2.LINE_AA
        )
    return bar
