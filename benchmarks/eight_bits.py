"""What 8 bits cost: networks of five folds in float32 and int8, on slices that none was fitted to.

    python benchmarks/eight_bits.py ../shared/data/navoneel \
        --weights ../shared/weights/mobilenet_v2_imagenet.weights.h5

A training a fold, leak-free; each is exported, and every slice is answered by the networks that
never saw it. Prints the AUC of all slices together, and what each format loses of it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import falx
from falx.data.split import fold_splits, split_table
from falx.evaluation.intervals import mean_interval
from falx.evaluation.metrics import score

FORMATS = ("openvino", "onnx", "litert")


def main() -> None:
    """Train, export and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--recipe", default="lite")
    parser.add_argument("--folds", type=int, default=5)
    arguments = parser.parse_args()
    usable = falx.build_catalog(arguments.data).usable()
    found = {name: np.zeros((len(usable), len(usable.classes))) for name in ("keras", *FORMATS)}
    how: dict[str, list[str]] = {name: [] for name in FORMATS}
    splits = fold_splits(usable.labels, usable.groups, folds=arguments.folds)
    for number, split in enumerate(splits, start=1):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            split_table(usable.table, split).to_csv(folder / "split.csv", index=False)
            falx.train(
                arguments.data,
                recipe=arguments.recipe,
                weights=str(arguments.weights),
                split=str(folder / "split.csv"),
                out=folder / "run",
            )
            for name in FORMATS:
                done = falx.export(folder / "run", name, precision="int8", out=folder / name)
                parity = pd.read_csv(folder / name / "parity.csv").set_index(["path", "index"])
                rows = parity.loc[
                    list(usable.table.iloc[split.test][["path", "index"]].itertuples(index=False))
                ]
                for who, column in (("keras", "keras"), (name, "export")):
                    columns = [f"{column}_p_{each}" for each in usable.classes]
                    found[who][split.test] = rows[columns].to_numpy()
                how[name].append(str(done.attempt))
        print(f"fold {number}: {', '.join(f'{name} {how[name][-1]}' for name in FORMATS)}")
    show(usable, found)


def show(usable: falx.Catalog, found: dict[str, np.ndarray]) -> None:
    """Print the table."""
    print(f"{'':10} {'AUC':28} {'change':>8} {'accuracy':28} {'mean change of p':28} largest")
    base = None
    for name, values in found.items():
        scores = score(usable.labels, values, usable.groups, usable.classes)
        auc, accuracy = scores.estimates["roc_auc"], scores.estimates["accuracy"]
        base = base or auc.value
        apart = np.abs(values - found["keras"]).max(axis=1)
        print(
            f"{name:10} {auc!s:28} {auc.value - base:+8.4f} {accuracy!s:28} "
            f"{mean_interval(apart, usable.groups)!s:28} {apart.max():.3f}"
        )


if __name__ == "__main__":
    main()
