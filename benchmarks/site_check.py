"""How often the site check fires: on held-out slices of the same source, and on other data.

    python benchmarks/site_check.py DATA RUN... [--also FOLDER...] [--subsets 100] [--json FILE]

Each RUN was trained on DATA, best with a large test part (--split 40/10/50). Random groups of the
test part, as many as hold 30 slices or more, are checked as a set, again and again; the subsets of
one run overlap and share its reference, so several runs with other seeds say more. FOLDER is
checked whole, as falx predict does, and in random subsets of 30 slices or more, of as few groups as
hold them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from falx.detect.detector import Detector, load
from falx.detect.site import FALSE_ALARM_RATE, MIN_GROUPS, MIN_SLICES
from falx.detect.site_groups import groups_of
from falx.detect.site_reference import Measurements
from falx.runs.reading import open_run
from falx.serialization import write_json
from falx.training.setup import open_cache
from falx.training.views import render_views

CACHE_GB = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--also", type=Path, nargs="*", default=[])
    parser.add_argument("--subsets", type=int, default=100)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print(f"{'slices':32} {'n':>5} {'groups':>6} {'p':>7}  subsets: n fires smallest and median p")
    for number, run in enumerate(arguments.runs):
        detector = load(run)
        sets = {"held out": held_out(detector, run, arguments.data)}
        sets |= {folder.name: predicted(detector, folder) for folder in arguments.also}
        for name, (measured, groups) in sets.items():
            rng = np.random.default_rng(number)
            row = {"run": run.name, "slices": name}
            row |= checked(detector, measured, groups, arguments.subsets, rng)
            rows.append(row)
            print(
                f"{run.name + ': ' + name:32} {row['n']:5} {row['groups']:6} {row['p_value']:7.4f}"
                f"  {row['subset_slices']:10.0f} {row['fires']:5.2f} {row['smallest']:8.4f} "
                f"{row['median']:10.4f}  {row['most']}",
                flush=True,
            )
    if arguments.json:
        write_json(arguments.json, rows)


def held_out(detector: Detector, run: Path, data: Path) -> tuple[Measurements, np.ndarray]:
    """Measurements of the test part of a training, and its groups."""
    opened = open_run(run)
    usable = replace(opened.catalog, root=data).usable()
    views = render_views(usable, detector.settings.rendering, open_cache(CACHE_GB)).plain
    rows = opened.split.test
    return detector.measure_views(views[rows]), usable.groups[rows]


def predicted(detector: Detector, folder: Path) -> tuple[Measurements, np.ndarray]:
    """Measurements of all slices below a folder, and their groups as falx predict finds them."""
    findings = detector.predict(folder)
    return findings.measurements, groups_of(findings.slices)


def checked(
    detector: Detector,
    measured: Measurements,
    groups: np.ndarray,
    subsets: int,
    rng: np.random.Generator,
) -> dict[str, object]:
    """The check of all slices, and how often that of random subsets fires."""
    whole = detector.check_site(measured, groups)
    sizes, p_values = [], []
    for _ in range(subsets):
        rows = subset(groups, rng)
        sizes.append(len(rows))
        p_values.append(detector.check_site(measured.take(rows), groups[rows]).p_value)
    return {
        "n": whole.slices,
        "groups": whole.groups,
        "p_value": whole.p_value,
        "subset_slices": float(np.mean(sizes)),
        "fires": float(np.mean(np.array(p_values) <= FALSE_ALARM_RATE)),
        "smallest": float(np.min(p_values)),
        "median": float(np.median(p_values)),
        "most": [each.name for each in whole.differences[:3]],
    }


def subset(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rows of random groups, as few as hold `MIN_SLICES` and are `MIN_GROUPS`."""
    rows: list[int] = []
    for number, group in enumerate(rng.permutation(np.unique(groups))):
        if len(rows) >= MIN_SLICES and number >= MIN_GROUPS:
            break
        rows += np.flatnonzero(groups == group).tolist()
    return np.array(rows)


if __name__ == "__main__":
    main()
