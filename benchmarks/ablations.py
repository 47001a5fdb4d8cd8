"""Cross-validations of the same slices, folds and seeds side by side, each against the first.

python benchmarks/ablations.py RUN RUN... [--json FILE]

A run is a folder that falx crossval made. Prints a row each: accuracy and AUC, their 95 % intervals
over groups and repeats, and how much they exceed the first's, pair by pair over the same resamples.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from falx.errors import FalxError
from falx.evaluation.folds import OutOfFold
from falx.verbs.saved_run import load_run

RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    try:
        runs = {str(run): outcome(run) for run in given.runs}
    except FalxError as error:
        sys.exit(str(error))
    first = next(iter(runs.values()))
    rows = {}
    print(f"{'':24} {'accuracy':24} {'ROC AUC':24} {'accuracy gained':26} AUC gained")
    for name, run in runs.items():
        if not comparable(run, first):
            sys.exit(f"'{name}' has other slices or folds than the first; compare the same.")
        found = run.scores().estimates
        gains = {metric: gain(run, first, of) for metric, of in METRICS.items()}
        rows[name] = {
            **{metric: found[metric].as_dict() for metric in METRICS},
            **{f"{metric}_gain": list(values) for metric, values in gains.items()},
        }
        words = [f"{v:+.3f} ({low:+.3f} to {high:+.3f})" for v, low, high in gains.values()]
        print(
            f"{name:24} {found['accuracy']!s:24} {found['roc_auc']!s:24} {words[0]:26} {words[1]}"
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def outcome(run: Path) -> OutOfFold:
    """The answers of a cross-validation of two classes."""
    tested = load_run(run).tested
    if not isinstance(tested, OutOfFold) or len(tested.usable.classes) != 2:
        sys.exit(f"'{run}' is no cross-validation of two classes.")
    return tested


def comparable(one: OutOfFold, other: OutOfFold) -> bool:
    """Whether two runs tested the same slices in the same folds."""
    tables = (each.usable.table[["path", "index", "label"]] for each in (one, other))
    return next(tables).equals(next(tables)) and np.array_equal(one.folds, other.folds)


def accuracy(run: OutOfFold, repeat: int, rows: np.ndarray) -> float:
    truth = run.usable.table["label"].to_numpy(dtype=object)
    return float((run.predicted[repeat, rows] == truth[rows]).mean())


def auc(run: OutOfFold, repeat: int, rows: np.ndarray) -> float:
    return float(roc_auc_score(run.usable.labels[rows], run.probabilities[repeat, rows, 1]))


METRICS = {"accuracy": accuracy, "roc_auc": auc}


def gain(
    ours: OutOfFold, first: OutOfFold, metric: Callable[[OutOfFold, int, np.ndarray], float]
) -> tuple[float, float, float]:
    """How much higher our metric is, mean over repeats, and its interval over groups."""
    labels, groups = ours.usable.labels, ours.usable.groups
    every = np.arange(len(labels))
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng, gains = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        repeats = rng.integers(ours.repeats, size=ours.repeats)
        if np.ptp(labels[drawn]):
            gains.append(
                np.mean([metric(ours, r, drawn) - metric(first, r, drawn) for r in repeats])
            )
    value = np.mean([
        metric(ours, repeat, every) - metric(first, repeat, every)
        for repeat in range(ours.repeats)
    ])  # fmt: skip
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(value), float(low), float(high)


if __name__ == "__main__":
    main()
