"""What moving the logits by an estimated prior is worth: `python prior_shift.py EVALUATION...`.

Takes folders of `falx evaluate`, hides the labels, estimates how frequent classes are (see
falx.training.prior_shift), and shows log loss and accuracy before and after. Slices are also drawn
such that a fifth or four fifths have a tumor. docs/adapt.md holds the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from falx.training.prior_shift import estimate_prior, shifted

FRACTIONS = (None, 0.2, 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path, nargs="+")
    print("| slices | n | with a tumor | estimated | log loss | after | accuracy | after |")
    print("| --- " * 8 + "|")
    for folder in parser.parse_args().evaluations:
        table = pd.read_csv(folder / "predictions.csv")
        columns = [name for name in table if name.startswith("p_")]
        probabilities = table[columns].to_numpy()
        labels = (table["label"] == columns[1].removeprefix("p_")).to_numpy(int)
        for fraction in FRACTIONS:
            rows = _drawn(labels, fraction)
            _show(folder.name, probabilities[rows], labels[rows])


def _drawn(labels: np.ndarray, fraction: float | None) -> np.ndarray:
    """As many slices as there are with this fraction of tumors; all of them without one."""
    if fraction is None:
        return np.arange(len(labels))
    tumors, others = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    total = min(len(tumors) / fraction, len(others) / (1 - fraction))
    generator = np.random.default_rng(0)
    counts = int(total * fraction), int(total * (1 - fraction))
    drawn = (
        generator.choice(each, n, False) for each, n in zip((tumors, others), counts, strict=True)
    )
    return np.concatenate(list(drawn))


def _show(name: str, probabilities: np.ndarray, labels: np.ndarray) -> None:
    prior = estimate_prior(probabilities)
    found = [_loss_and_accuracy(p, labels) for p in (probabilities, shifted(probabilities, prior))]
    numbers = [labels.mean(), prior[1], *(each[k] for k in (0, 1) for each in found)]
    cells = " | ".join(f"{number:.3f}" for number in numbers)
    print(f"| {name} | {len(labels)} | {cells} |")


def _loss_and_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    of_label = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_label, 1e-12)).mean()), float((of_label >= 0.5).mean())


if __name__ == "__main__":
    main()
