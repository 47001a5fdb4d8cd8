"""Ways to make a heat map finer, held to masks and to the network itself.

    python benchmarks/maps.py RUN DATA [--masks MASKS] [--slices 60]

RUN has two classes. Each way gives a map of 28 x 28 cells of the view, so that all are drawn,
deleted and scored alike: in every step of deletion and insertion as many pixels change, whatever a
map is made of. Differences are paired with those of falx's own way, `spline`, and intervals drawn
over groups. Deletion and insertion take the first of the slices called positive, masks all of them.
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
from falx.detect.detector import Detector, load
from falx.detect.heat_map import HeatMap, spread
from falx.evaluation.deletion import area, most_alike, order_of, stages
from falx.evaluation.intervals import difference_interval, mean_interval
from falx.image.render import Region, render_with_region

CELLS = 28
STEP = 8  # pixels: a quarter of a place of the network
SHIFTS = tuple((down, right) for down in (-STEP, STEP) for right in (-STEP, STEP))
Maps = Callable[[np.ndarray], np.ndarray]
"""Coarse evidence (n, rows, columns) of views (n, size, size)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--slices", type=int, default=60)
    given = parser.parse_args()
    detector = load(given.run)
    table = build_catalog(given.data).usable()
    slices = [
        next(one for one in read_slices(given.data / path) if one.index == index)
        for path, index in zip(table.table["path"], table.table["index"], strict=True)
    ]
    rendered = [render_with_region(one.pixels, detector.settings.rendering) for one in slices]
    views = np.stack([view for view, _ in rendered])
    positive = detector.probabilities(views)[:, 1] >= detector.settings.rules.threshold
    rows = np.flatnonzero(positive & (table.labels == 1))
    rows = np.random.default_rng(0).permutation(rows)
    plain = functools.partial(evidence, detector)
    ways = {
        "linear": (1, lambda some: fine(some, plain, linear)),
        "spline": (1, lambda some: fine(some, plain, spline)),
        "spline, mirrored": (2, lambda some: fine(some, mirrored(plain), spline)),
        "spline, shifted": (4, lambda some: shifted(some, plain)),
        "spline, both": (8, lambda some: shifted(some, mirrored(plain))),
    }
    maps = {name: way(views[rows]) for name, (_, way) in ways.items()}
    scores = {name: {} for name in ways}
    chosen = rows[: given.slices]
    pool = views[~positive]
    ends = views[chosen], pool[most_alike(views[chosen], pool)]
    for name in ways:
        scores[name]["deletion"] = areas(detector, *ends, maps[name])
        scores[name]["insertion"] = areas(detector, *ends[::-1], maps[name])
        if given.masks:
            shown = [(slices[row], rendered[row][1], table.table["path"].iat[row]) for row in rows]
            scores[name] |= against_masks(given.masks, shown, maps[name])
    groups = table.groups[rows]
    print(f"{len(rows)} slices, {len(chosen)} of them deleted and inserted\n")
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
    """The maps of the network itself."""
    return detector.evidence(views, [1] * len(views))


def mirrored(maps: Maps) -> Maps:
    """The mean with the maps of the mirrored views, mirrored back."""
    return lambda views: (maps(views) + maps(views[:, :, ::-1])[:, :, ::-1]) / 2


def fine(views: np.ndarray, maps: Maps, how: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.stack([how(heat) for heat in maps(views)])


def shifted(views: np.ndarray, maps: Maps) -> np.ndarray:
    """The mean over views shifted to and fro by a quarter of a place, which halves the places.

    What is seen of each is drawn where it was, so that this is the shift-and-stitch of OverFeat
    (Sermanet et al., ICLR 2014), smoothed.
    """
    size, total = views.shape[1], 0
    for down, right in SHIFTS:
        move = np.float32([[1, 0, -right], [0, 1, -down]])
        how = {"flags": cv2.INTER_NEAREST, "borderMode": cv2.BORDER_REPLICATE}
        moved = np.stack([cv2.warpAffine(view, move, (size, size), **how) for view in views])
        drawn = fine(moved, maps, spline)
        back = np.float32([[1, 0, right / STEP], [0, 1, down / STEP]])
        total = total + np.stack([cv2.warpAffine(m, back, (CELLS, CELLS), **how) for m in drawn])
    return total / len(SHIFTS)


def spline(heat: np.ndarray) -> np.ndarray:
    return spread(np.maximum(heat, 0), Region(0, 0, CELLS, CELLS), (CELLS, CELLS))


def linear(heat: np.ndarray) -> np.ndarray:
    return cv2.resize(np.maximum(heat, 0), (CELLS, CELLS), interpolation=cv2.INTER_LINEAR)


def areas(detector: Detector, start: np.ndarray, end: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Area under the probability as `start` becomes `end` in the order of maps: (n,)."""
    curves = []
    for one, other, heat in zip(start, end, maps, strict=False):
        order = order_of(np.float32(heat), len(one), np.random.default_rng(0))
        curves.append(detector.probabilities(stages(one, other, order))[:, 1])
    return area(np.array(curves))


def against_masks(folder: Path, shown: list, maps: np.ndarray) -> dict[str, np.ndarray]:
    """Whether the peak lies on the tumor, its distance in sides of the view, evidence inside."""
    found = []
    for (slice_, region, path), heat in zip(shown, maps, strict=True):
        mask = read_slices(folder / path)[slice_.index].pixels > 0
        heat_map = HeatMap(np.float32(heat), region, slice_.pixels.shape)
        drawn, peak = heat_map.on_slice(), heat_map.peak
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) / region.height
        inside = drawn[mask].sum() / drawn.sum() if peak else 0.0
        found.append((bool(peak and mask[peak]), away[peak] if peak else 1.0, inside))
    hit, distance, inside = np.array(found, float).T
    return {"peak on tumor": hit, "distance": distance, "inside": inside}


def cell(values: np.ndarray, own: np.ndarray | None, groups: np.ndarray) -> str:
    """A mean, and its difference from falx's own way."""
    groups = groups[: len(values)]
    if own is None:
        return str(mean_interval(values, groups))
    apart = difference_interval(values - own, groups)
    return f"{values.mean():.3f}, {apart.value:+.3f} ({apart.low:+.3f} to {apart.high:+.3f})"


if __name__ == "__main__":
    main()
