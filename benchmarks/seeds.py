"""The table of results in the README: recipes over seeds, on leak-free and random splits.

    python benchmarks/seeds.py DATA --weights PATH --recipes paper lite --seeds 5 --out FOLDER

Every run is one `falx train DATA --recipe R --seed S --split SPLIT`, so each number in the table
can be reproduced alone. Prints Markdown and writes seeds.csv; runs that exist are read, not
repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import falx
from falx.evaluation.evaluation import Evaluation

METRICS = ("accuracy", "roc_auc", "log_loss")
SPLITS = {"leak-free": "70/15/15", "random": "random"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--recipes", nargs="+", default=["paper", "lite"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        for recipe in arguments.recipes:
            for name, split in SPLITS.items():
                folder = arguments.out / f"{recipe}-{name}-{seed}"
                if not folder.exists():
                    falx.train(
                        arguments.data,
                        recipe=recipe,
                        weights=arguments.weights,
                        seed=seed,
                        split=split,
                        out=folder,
                    )
                scores = read_scores(falx.open_run(folder).evaluation)
                rows.append({"recipe": recipe, "seed": seed, "split": name, **scores})
        table = pd.DataFrame(rows)
        table.to_csv(arguments.out / "seeds.csv", index=False)
        print(*markdown(table), "", sep="\n", flush=True)


def read_scores(evaluation: Evaluation) -> dict[str, float]:
    """Metrics of a run, and its correct test slices with and without leakage."""
    predictions, leaked = evaluation.predictions, evaluation.leaked
    correct = predictions.predicted_codes[0] == predictions.labels
    return {
        **{name: evaluation.scores.estimates[name].value for name in METRICS},
        "leaked": int(leaked.sum()),
        "leaked_correct": int((leaked & correct).sum()),
        "others": int((~leaked).sum()),
        "others_correct": int((~leaked & correct).sum()),
    }


def markdown(table: pd.DataFrame) -> Iterator[str]:
    """Mean and range over seeds, and accuracy over the test slices of all seeds, by leakage."""
    yield (
        "| recipe | split | accuracy | ROC AUC | log loss | correct, of leaked slices "
        "| correct, of the others |"
    )
    yield "| --- " * 7 + "|"
    for (recipe, split), rows in table.groupby(["recipe", "split"], sort=False):
        cells = [_mean_and_range(rows[name].to_numpy()) for name in METRICS]
        cells += [_fraction(rows, "leaked"), _fraction(rows, "others")]
        yield f"| {recipe} | {split} | " + " | ".join(cells) + " |"


def _mean_and_range(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def _fraction(rows: pd.DataFrame, which: str) -> str:
    n, correct = rows[which].sum(), rows[f"{which}_correct"].sum()
    return f"{correct} of {n} ({100 * correct / n:.1f} %)" if n else "none"


if __name__ == "__main__":
    main()
