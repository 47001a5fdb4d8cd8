"""Cross-validations of the same slices, folds and seeds side by side, each against the first.

python benchmarks/ablations.py RUN RUN... [--json FILE]

A run is a folder that falx crossval made. Prints a row each: accuracy and AUC, their 95 % intervals
over groups and repeats, and how much they exceed the first's, pair by pair over the same resamples.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from falx.errors import FalxError
from falx.evaluation.folds import OutOfFold
from falx.verbs.saved_run import load_run

RESAMPLES = 2000
METRICS = ("accuracy", "roc_auc")


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
    rows, base, base_drawn = {}, *marks(first)
    print(f"{'':24} {'accuracy':24} {'ROC AUC':24} {'accuracy gained':26} AUC gained")
    for name, run in runs.items():
        if not comparable(run, first):
            sys.exit(f"'{name}' has other slices or folds than the first; compare the same.")
        found = run.scores().estimates
        values, drawn = (base, base_drawn) if run is first else marks(run)
        gains = {
            metric: (
                values[metric] - base[metric],
                *np.quantile(drawn[metric] - base_drawn[metric], [0.025, 0.975]).tolist(),
            )
            for metric in METRICS
        }
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


def marks(run: OutOfFold) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Accuracy and AUC, the mean over repeats; and the same of each resample, (resamples,).

    A resample draws groups and repeats, by a seed: runs of the same slices draw the same.
    """
    labels, groups = run.usable.labels, run.usable.groups
    correct = run.predicted == run.usable.table["label"].to_numpy(dtype=object)
    chances = run.probabilities[:, :, 1]

    def means(repeats: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
        aucs = [roc_auc_score(labels[rows], chances[repeat, rows]) for repeat in repeats]
        return float(correct[np.ix_(repeats, rows)].mean()), float(np.mean(aucs))

    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng, drawn = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        picked = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[i] for i in picked])
        repeats = rng.integers(run.repeats, size=run.repeats)
        if np.ptp(labels[rows]):
            drawn.append(means(repeats, rows))
    values = means(np.arange(run.repeats), np.arange(len(labels)))
    spread = np.array(drawn).T
    return dict(zip(METRICS, values, strict=True)), dict(zip(METRICS, spread, strict=True))


if __name__ == "__main__":
    main()
