"""What int8 costs: networks of five folds in float32 and int8, on slices that none has seen.

    python benchmarks/quantization.py ../shared/data/navoneel \
        --weights ../shared/weights/mobilenet_v2_imagenet.weights.h5

Each fold is a leak-free training, exported to every format; every slice is predicted by the
networks that never saw it. Prints the out-of-fold AUC and accuracy, and what each format changes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import falx
from falx.data.split import fold_splits, split_table
from falx.evaluation.metrics import score
from falx.statistics import mean_interval

FORMATS = ("openvino", "onnx", "litert")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--recipe", default="lite")
    parser.add_argument("--folds", type=int, default=5)
    arguments = parser.parse_args()
    usable = falx.build_catalog(arguments.data).usable()
    shape = len(usable), len(usable.classes)
    probabilities = {name: np.zeros(shape) for name in ("keras", *FORMATS)}
    splits = fold_splits(usable.labels, usable.groups, folds=arguments.folds)
    for number, split in enumerate(splits, start=1):
        attempts = []
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            split_table(usable.table, split).to_csv(folder / "split.csv", index=False)
            falx.train(
                arguments.data,
                recipe=arguments.recipe,
                weights=arguments.weights,
                split=str(folder / "split.csv"),
                out=folder / "run",
            )
            for name in FORMATS:
                export = falx.export(folder / "run", name, precision="int8", out=folder / name)
                parity = pd.read_csv(folder / name / "parity.csv").set_index(["path", "index"])
                rows = parity.loc[
                    list(usable.table.iloc[split.test][["path", "index"]].itertuples(index=False))
                ]
                for runtime, column in (("keras", "keras"), (name, "export")):
                    columns = [f"{column}_p_{each}" for each in usable.classes]
                    probabilities[runtime][split.test] = rows[columns].to_numpy()
                attempts.append(f"{name} {export.attempt}")
        print(f"fold {number}: {', '.join(attempts)}", flush=True)
    print_table(usable, probabilities)


def print_table(usable: falx.Catalog, probabilities: dict[str, np.ndarray]) -> None:
    """Print scores and differences from Keras for each runtime.

    Args:
        probabilities: of each runtime, float (n, classes).
    """
    print(f"{'':10} {'AUC':28} {'change':>8} {'accuracy':28} {'mean change of p':28} largest")
    reference = None
    for name, values in probabilities.items():
        scores = score(usable.labels, values, usable.groups, usable.classes)
        auc, accuracy = scores.estimates["roc_auc"], scores.estimates["accuracy"]
        reference = reference or auc.value
        difference = np.abs(values - probabilities["keras"]).max(axis=1)
        print(
            f"{name:10} {auc!s:28} {auc.value - reference:+8.4f} {accuracy!s:28} "
            f"{mean_interval(difference, usable.groups)!s:28} {difference.max():.3f}"
        )


if __name__ == "__main__":
    main()
