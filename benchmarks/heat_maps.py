"""Ways to increase the resolution of heat maps, compared by faithfulness and by tumor masks.

    python benchmarks/heat_maps.py RUN DATA [--masks MASKS] [--slices 60]

RUN has two classes. Each way gives a map of 28 x 28 cells of the view, so that all are drawn,
deleted and scored alike: every step of deletion and insertion changes the same number of pixels,
whatever the resolution of a map. Differences are paired with `spline`, and intervals are over
groups. Deletion and insertion use the first of the true positive slices, masks all of them.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.data.slices import Slice
from falx.detect.detector import Detector, load
from falx.detect.heat_map import HeatMap, upsample
from falx.evaluation.deletion import area, blend_steps, nearest_views, order_of
from falx.image.render import Region, render_with_region
from falx.statistics import difference_interval, mean_interval

CELLS = 28
STEP = 8  # pixels: a quarter of a cell of the network
SHIFTS = tuple((down, right) for down in (-STEP, STEP) for right in (-STEP, STEP))
Maps = Callable[[np.ndarray], np.ndarray]
"""Evidence (n, rows, columns) at the network's resolution, of views (n, size, size)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--slices", type=int, default=60)
    arguments = parser.parse_args()
    detector = load(arguments.run)
    usable = build_catalog(arguments.data).usable()
    paths = usable.table["path"]
    slices = [
        next(each for each in read_slices(arguments.data / path) if each.index == index)
        for path, index in zip(paths, usable.table["index"], strict=True)
    ]
    rendered = [render_with_region(each.pixels, detector.settings.rendering) for each in slices]
    views = np.stack([view for view, _ in rendered])
    predicted = detector.probabilities(views)[:, 1] >= detector.settings.rules.threshold
    rows = np.flatnonzero(predicted & (usable.labels == 1))
    rows = np.random.default_rng(0).permutation(rows)
    plain = functools.partial(evidence, detector)
    ways = {
        "linear": (1, lambda some: upsampled(some, plain, linear)),
        "spline": (1, lambda some: upsampled(some, plain, spline)),
        "spline, mirrored": (2, lambda some: upsampled(some, mirrored(plain), spline)),
        "spline, shifted": (4, lambda some: shifted(some, plain)),
        "spline, both": (8, lambda some: shifted(some, mirrored(plain))),
    }
    maps = {name: way(views[rows]) for name, (_, way) in ways.items()}
    scores = {name: {} for name in ways}
    chosen = rows[: arguments.slices]
    negatives = views[~predicted]
    ends = views[chosen], negatives[nearest_views(views[chosen], negatives)]
    for name in ways:
        scores[name]["deletion"] = areas(detector, *ends, maps[name])
        scores[name]["insertion"] = areas(detector, *ends[::-1], maps[name])
        if arguments.masks:
            shown = [(slices[row], rendered[row][1], paths.iat[row]) for row in rows]
            scores[name] |= score_against_masks(arguments.masks, shown, maps[name])
    groups = usable.groups[rows]
    print(f"{len(rows)} slices, {len(chosen)} of them for deletion and insertion\n")
    names = list(scores["spline"])
    print("| way | passes | " + " | ".join(names) + " |")
    print("| --- " * (2 + len(names)) + "|")
    for name, (passes, _) in ways.items():
        cells = [
            cell(scores[name][score], None if name == "spline" else scores["spline"][score], groups)
            for score in names
        ]
        print(f"| {name} | {passes} | " + " | ".join(cells) + " |")


def evidence(detector: Detector, views: np.ndarray) -> np.ndarray:
    """The maps of the network itself, for the positive class."""
    return detector.evidence(views, [1] * len(views))


def mirrored(maps: Maps) -> Maps:
    """The mean with the maps of the mirrored views, mirrored back."""
    return lambda views: (maps(views) + maps(views[:, :, ::-1])[:, :, ::-1]) / 2


def upsampled(views: np.ndarray, maps: Maps, by: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.stack([by(heat) for heat in maps(views)])


def shifted(views: np.ndarray, maps: Maps) -> np.ndarray:
    """The mean over views shifted by a quarter of a cell either way, which halves the cells.

    Each map is shifted back: the shift-and-stitch of OverFeat (Sermanet et al., ICLR 2014),
    smoothed.
    """
    size, total = views.shape[1], 0
    for down, right in SHIFTS:
        move = np.float32([[1, 0, -right], [0, 1, -down]])
        how = {"flags": cv2.INTER_NEAREST, "borderMode": cv2.BORDER_REPLICATE}
        moved = np.stack([cv2.warpAffine(view, move, (size, size), **how) for view in views])
        drawn = upsampled(moved, maps, spline)
        back = np.float32([[1, 0, right / STEP], [0, 1, down / STEP]])
        total = total + np.stack([cv2.warpAffine(m, back, (CELLS, CELLS), **how) for m in drawn])
    return total / len(SHIFTS)


def spline(heat: np.ndarray) -> np.ndarray:
    return upsample(np.maximum(heat, 0), Region(0, 0, CELLS, CELLS), (CELLS, CELLS))


def linear(heat: np.ndarray) -> np.ndarray:
    return cv2.resize(np.maximum(heat, 0), (CELLS, CELLS), interpolation=cv2.INTER_LINEAR)


def areas(detector: Detector, start: np.ndarray, end: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Area under the probability as `start` becomes `end` in the order of maps: (n,)."""
    curves = []
    for one, other, heat in zip(start, end, maps, strict=False):
        order = order_of(np.float32(heat), len(one), np.random.default_rng(0))
        curves.append(detector.probabilities(blend_steps(one, other, order))[:, 1])
    return area(np.array(curves))


def score_against_masks(
    folder: Path, shown: list[tuple[Slice, Region, str]], maps: np.ndarray
) -> dict[str, np.ndarray]:
    """Pointing game, peak distance relative to the side of the view, and energy inside the mask."""
    found = []
    for (slice_, region, path), heat in zip(shown, maps, strict=True):
        mask = read_slices(folder / path)[slice_.index].pixels > 0
        heat_map = HeatMap(np.float32(heat), region, slice_.pixels.shape)
        drawn, peak = heat_map.on_slice(), heat_map.peak
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) / region.height
        inside = drawn[mask].sum() / drawn.sum() if peak else 0.0
        found.append((bool(peak and mask[peak]), away[peak] if peak else 1.0, inside))
    hit, distance, inside = np.array(found, float).T
    return {"pointing game": hit, "peak distance": distance, "energy inside": inside}


def cell(values: np.ndarray, reference: np.ndarray | None, groups: np.ndarray) -> str:
    """A mean with its interval, or with its difference from a reference."""
    groups = groups[: len(values)]
    if reference is None:
        return str(mean_interval(values, groups))
    apart = difference_interval(values - reference, groups)
    span = "" if np.isnan(apart.low) else f" ({apart.low:+.3f} to {apart.high:+.3f})"
    return f"{values.mean():.3f}, {apart.value:+.3f}{span}"


if __name__ == "__main__":
    main()
