"""Make the detector that ships with falx from a run and what its backbone was pretrained on.

python benchmarks/ship.py RUN PRETRAINING... writes src/falx/detect/shipped: network in half
precision, rules, references, and the fingerprints of every slice that either has seen. See
docs/detector.md for the commands before it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.fingerprints import Fingerprints, fingerprints
from falx.detect.detector import NETWORK_FILE, SHIPPED, load
from falx.detect.settings import Settings
from falx.detect.site_reference import SITE_FILE
from falx.exporting.arrays import read_convolutions
from falx.exporting.linear_detector import LinearDetector, export_linear, load_head
from falx.model.reference import MahalanobisReference
from falx.recipe import load_recipe
from falx.runs.reading import open_run

CLASSES = ("no tumor", "tumor")
CARD = Path(__file__).parents[1] / "docs" / "detector.md"
NAME = "falx"
"""What reports and pages name as the recipe."""


def main() -> None:
    """Write the detector, and compare it with that of the run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of falx train --recipe localized")
    parser.add_argument("pretraining", type=Path, nargs="*", help="folders of falx pretrain")
    parser.add_argument("--synthetic", default="phantoms", help="source without fingerprints")
    arguments = parser.parse_args()
    ship(arguments.run, arguments.pretraining, SHIPPED, arguments.synthetic)


def ship(run: Path, pretraining: list[Path], folder: Path, synthetic: str) -> None:
    """Write a detector in half precision, with the fingerprints of what it has seen."""
    source = run / "detector"
    settings = Settings.load(source)
    recipe = load_recipe(source / "recipe.yaml").model_copy(update={"name": NAME})
    shutil.rmtree(folder, ignore_errors=True)
    reference = MahalanobisReference.load(source)
    convolutions = read_convolutions(source / NETWORK_FILE, localization=True)
    detector = LinearDetector(recipe, convolutions, load_head(source), reference)
    export_linear(detector, folder, classes=CLASSES, rules=settings.rules, half=True)
    shutil.copyfile(source / SITE_FILE, folder / SITE_FILE)
    shutil.copyfile(CARD, folder / "card.md")
    seen = _seen(run, pretraining, synthetic)
    seen.save(folder)
    _compare(run, folder)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{len(seen)} fingerprints; {size / 1e6:.2f} MB in {folder}")


def _seen(run: Path, pretraining: list[Path], synthetic: str) -> Fingerprints:
    """Of the slices of a run's training and validation, and of pretrainings, but for phantoms."""
    opened = open_run(run)
    table = opened.catalog.usable().table
    learned = np.concatenate([opened.split.train, opened.split.validation])
    table = table.iloc[learned]
    tables = [table[table["source"] != synthetic]]
    tables += [
        Catalog.load(file).usable().table
        for folder in pretraining
        for file in sorted(folder.glob("*.parquet"))
    ]
    together = pd.concat(tables).drop_duplicates(["sha256", "index"])
    return fingerprints(together)


def _compare(run: Path, folder: Path) -> None:
    """Print how far half precision is from single, on random views."""
    one, other = load(run), load(folder)
    size = one.settings.rendering.size
    views = np.random.default_rng(0).integers(0, 256, (8, size, size), np.uint8)
    difference = np.abs(one.probabilities(views) - other.probabilities(views)).max()
    print(f"largest difference of a probability in half precision: {difference:.2g}")


if __name__ == "__main__":
    main()
