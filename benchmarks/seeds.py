"""The table of results in the README: recipes over seeds, leak-free and random split side by side.

    python benchmarks/seeds.py DATA --weights PATH --recipes paper lite --seeds 5 --out FOLDER

Every run is one `falx train DATA --recipe R --seed S --split HOW`, so each number in the table can
be had by hand. Prints Markdown and writes seeds.csv; runs that are there already are read, not
repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import falx

METRICS = ("accuracy", "roc_auc", "log_loss")
SPLITS = {"leak-free": "70/15/15", "random": "random"}


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
            for split, how in SPLITS.items():
                folder = given.out / f"{recipe}-{split}-{seed}"
                if not folder.exists():
                    falx.train(
                        given.data,
                        recipe=recipe,
                        weights=given.weights,
                        seed=seed,
                        split=how,
                        out=folder,
                    )
                rows.append({"recipe": recipe, "seed": seed, "split": split, **read_run(folder)})
        table = pd.DataFrame(rows)
        table.to_csv(given.out / "seeds.csv", index=False)
        print(*markdown(table), "", sep="\n", flush=True)


def read_run(folder: Path) -> dict[str, float]:
    """Scores of a run, and how many test slices with and without a twin in training are right."""
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    tested = pd.read_csv(folder / "predictions.csv").query("part == 'test'")
    split = pd.read_csv(folder / "split.csv").query("part == 'train'")
    twin = tested["group"].isin(split["group"])
    right = tested["label"] == tested["predicted"]
    return {
        **{name: metrics[name]["value"] for name in METRICS},
        "twins": int(twin.sum()),
        "twins_right": int((twin & right).sum()),
        "others": int((~twin).sum()),
        "others_right": int((~twin & right).sum()),
    }


def markdown(table: pd.DataFrame) -> Iterator[str]:
    """Mean and range over seeds, and all slices of all seeds with and without a twin."""
    yield (
        "| recipe | split | accuracy | ROC AUC | log loss | right, with a twin in training "
        "| right, without |"
    )
    yield "| --- " * 7 + "|"
    for (recipe, split), rows in table.groupby(["recipe", "split"], sort=False):
        cells = [_spread(rows[name].to_numpy()) for name in METRICS]
        cells += [_share(rows, "twins"), _share(rows, "others")]
        yield f"| {recipe} | {split} | " + " | ".join(cells) + " |"


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def _share(rows: pd.DataFrame, which: str) -> str:
    n, right = rows[which].sum(), rows[f"{which}_right"].sum()
    return f"{right} of {n} ({right / n:.1%})" if n else "none"


if __name__ == "__main__":
    main()
