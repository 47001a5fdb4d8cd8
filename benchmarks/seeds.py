"""The table of results in the README: recipes over seeds, leak-free and random split side by side.

    python benchmarks/seeds.py DATA --weights PATH --recipes paper lite --seeds 5 --out FOLDER

Every run is one `falx train DATA --recipe R --seed S --show-leak`, so each number in the table can
be had by hand. Prints Markdown and writes seeds.csv; runs that are there already are read, not
repeated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

import falx

METRICS = ("accuracy", "roc_auc", "log_loss")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--recipes", nargs="+", default=["paper", "lite"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    given = parser.parse_args()
    rows = []
    for seed in range(given.seeds):
        for recipe in given.recipes:
            folder = given.out / f"{recipe}-{seed}"
            if not folder.exists():
                falx.train(
                    given.data,
                    recipe=recipe,
                    weights=given.weights,
                    seed=seed,
                    out=folder,
                    show_leak=True,
                )
            rows += read_run(folder, recipe, seed)
            table = pd.DataFrame(rows)
            table.to_csv(given.out / "seeds.csv", index=False)
            print(markdown(table), flush=True)


def read_run(folder: Path, recipe: str, seed: int) -> list[dict[str, object]]:
    """One row for the leak-free split and one for the random split."""
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    seconds = json.loads((folder / "environment.json").read_text("utf-8"))["training_seconds"]
    return [
        {
            "recipe": recipe,
            "seed": seed,
            "split": split,
            "n": scores["n"],
            "seconds": seconds,
            **{name: scores[name]["value"] for name in METRICS},
        }
        for split, scores in (("leak-free", metrics), ("random", metrics["random_split"]))
    ]


def markdown(table: pd.DataFrame) -> str:
    """Mean and range over seeds, a row a recipe and split."""
    lines = ["| recipe | split | seeds | accuracy | ROC AUC | log loss |", "| --- " * 6 + "|"]
    for (recipe, split), rows in table.groupby(["recipe", "split"], sort=False):
        cells = [f"{_spread(rows[name].to_numpy())}" for name in METRICS]
        lines.append(f"| {recipe} | {split} | {len(rows)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


if __name__ == "__main__":
    main()
