"""Overlays: a slice, and the slice under its heat map, side by side in one image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from falx.data.read import read_slices
from falx.detect.heat_map import HeatMap
from falx.errors import BadInput
from falx.progress import Listener, Progress, silent

if TYPE_CHECKING:
    from falx.detect.finding import Finding

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
    """Write one image per finding, NUMBER-NAME.png, numbered in the order of the findings.

    Out-of-distribution slices have no heat map and are shown as they are.

    Raises:
        BadInput: the folder can't be written or is not empty, or a file changed since it was read.
    """
    make_folder(folder)
    number = 0
    for path, of_file in groupby(findings, key=lambda finding: finding.path):
        members = list(of_file)
        for finding, image in zip(members, _overlays(path, members), strict=True):
            number += 1
            index = f"-{finding.index}" if finding.index or len(members) > 1 else ""
            name = f"{number:04d}-{path.stem}{index}"
            (folder / f"{name}.png").write_bytes(as_png(image))
            listener(Progress("Drawing", number, len(findings)))


def overlay_of(finding: Finding) -> np.ndarray:
    """A finding's slice and heat map, see `draw_overlay`, with its answer below.

    Raises:
        UnreadableImage: its file can't be read any more.
        BadInput: its file changed since it was read.
    """
    return next(_overlays(finding.path, [finding]))


def as_png(image: np.ndarray) -> bytes:
    """An image uint8 (height, width, 3), BGR, as a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()


def make_folder(folder: Path) -> None:
    """Make the folder for the images, before anything is predicted.

    Raises:
        BadInput: it can't be made, or is not empty.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(
            f"'{folder}' can't be made, since a file is in its way; name another folder."
        ) from error
    except OSError as error:
        raise BadInput(
            f"'{folder}' can't be made ({error.strerror}); make room, get permission, or name "
            "another folder."
        ) from error
    if any(folder.iterdir()):
        raise BadInput(f"'{folder}' is not empty; name another folder or clear it.")


def draw_overlay(pixels: np.ndarray, heat_map: HeatMap | None, caption: str = "") -> np.ndarray:
    """The slice, the slice under its heat map, and a color bar: uint8 (height, width, 3), BGR.

    The height is 384, and 28 for each line of the caption, at least one.

    Colors are the perceptually uniform Inferno, from no evidence to the slice's maximum; the white
    contour is at half the maximum. The numbers of the color bar are contributions to the logit.

    Args:
        pixels: float32 (height, width), [0, 1].
        heat_map: None for the slice alone.
        caption: one or several lines.
    """
    scale = _HEIGHT / pixels.shape[0]
    size = (max(1, round(pixels.shape[1] * scale)), _HEIGHT)
    gray = cv2.resize(np.rint(pixels * 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    evidence = heat_map.on_slice() if heat_map else np.zeros(pixels.shape, np.float32)
    heat = cv2.resize(evidence, size, interpolation=cv2.INTER_LINEAR)
    maximum = float(heat.max())
    plain = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
    level = np.rint(255 * heat / maximum).astype(np.uint8) if maximum else np.zeros_like(gray)
    # The stronger the evidence, the more opaque.
    opacity = (_OPACITY * level / 255)[..., None]
    mixed = plain * (1 - opacity) + cv2.applyColorMap(level, cv2.COLORMAP_INFERNO) * opacity
    overlay = np.rint(mixed).astype(np.uint8)
    if maximum:
        half = (level >= 128).astype(np.uint8)
        contours, _ = cv2.findContours(half, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(overlay, contours, -1, _OUTLINE, 1, cv2.LINE_AA)
    gap = np.zeros((_HEIGHT, _GAP, 3), np.uint8)
    image = np.hstack([plain, gap, overlay, gap, _color_bar(maximum)])
    if heat_map and not maximum:
        caption = "; ".join(filter(None, (caption, "no evidence for it")))
    strips = [_caption_strip(line, image.shape[1]) for line in caption.split("\n")]
    return np.vstack([image, *strips])


def _overlays(path: Path, findings: Sequence[Finding]) -> Iterator[np.ndarray]:
    """The overlays of the findings of one file, which is read once, or of slices of no file."""
    slices: dict[int, tuple[np.ndarray, int]] = {}
    if any(finding.levels is None for finding in findings):
        slices = {each.index: (each.pixels, each.frames) for each in read_slices(path)}
    for finding in findings:
        if finding.levels is not None:
            pixels, frames = finding.levels.astype(np.float32) / 255, 1
        elif finding.index in slices:
            pixels, frames = slices[finding.index]
        else:
            raise BadInput(f"'{path}' changed while falx was using it; run again.")
        yield draw_overlay(pixels, finding.heat_map, _caption(finding, frames))


def _caption(finding: Finding, frames: int) -> str:
    """Which slice it is of, and below it, the answer.

    Args:
        frames: how many its file holds; if there are several, the slice is told by its index, from
            0 as in tables, and its number, from 1.
    """
    index = finding.index
    where = [
        finding.path.name,
        f"index {index} (slice {index + 1} of {frames})" if frames > 1 else "",
        f"level {finding.level:.2f}" if math.isfinite(finding.level) else "",
        finding.region,
    ]
    return f"{', '.join(filter(None, where))}\n{_answer(finding)}"


def _answer(finding: Finding) -> str:
    if finding.label is None:
        return "out of distribution, no label"
    positive = list(finding.probabilities)[1] if len(finding.probabilities) == 2 else finding.label
    answer = f"{finding.label}, p({positive}) {finding.probability:.3f}"
    return f"{answer}, refer" if finding.status == "refer" else answer


def _caption_strip(text: str, width: int) -> np.ndarray:
    strip = np.zeros((_LINE, width, 3), np.uint8)
    # OpenCV's fonts are ASCII.
    ascii_text = text.encode("ascii", "replace").decode()
    cv2.putText(
        strip, ascii_text, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _OUTLINE, 1, cv2.LINE_AA
    )
    return strip


def _color_bar(maximum: float) -> np.ndarray:
    bar = np.zeros((_HEIGHT, _BAR + _TEXT, 3), np.uint8)
    levels = np.linspace(255, 0, _HEIGHT).round().astype(np.uint8)
    bar[:, :_BAR] = cv2.applyColorMap(
        np.repeat(levels[:, None], _BAR, axis=1), cv2.COLORMAP_INFERNO
    )
    for value, baseline in ((maximum, 12), (maximum / 2, _HEIGHT // 2 + 4), (0.0, _HEIGHT - 4)):
        origin = (_BAR + 4, baseline)
        cv2.putText(
            bar, f"{value:.2f}", origin, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _OUTLINE, 1, cv2.LINE_AA
        )
    return bar
