"""What the weights that training starts from are worth, by cross-validation on real slices.

python benchmarks/weights.py DATA --weights random phantom FILE... [--set FIELD=VALUE] [--json FILE]

The same recipe, folds and seeds for each; prints a row each with 95 % intervals over groups and
repeats, and the difference to the first, pair by pair over the same resamples.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import falx
from falx.console import progress
from falx.data.catalog import build_catalog

RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", nargs="+", required=True)
    parser.add_argument("--recipe", default="lite")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    changes = dict(change.split("=", 1) for change in given.changes)
    usable = build_catalog(given.data).usable()
    rows, first = {}, None
    print(f"{'weights':50} {'accuracy':24} {'ROC AUC':24} AUC against the first")
    for weights in given.weights:
        with tempfile.TemporaryDirectory() as folder, progress(narrated=True) as listener:
            done = falx.crossval(
                given.data,
                recipe=given.recipe,
                changes=changes,
                weights=weights,
                folds=given.folds,
                repeats=given.repeats,
                jobs=given.jobs,
                out=Path(folder) / "run",
                listener=listener,
            )
        found = done.scores.estimates
        first = done.probabilities if first is None else first
        gain = difference(usable.labels, usable.groups, done.probabilities, first)
        rows[weights] = {
            **{name: found[name].as_dict() for name in ("accuracy", "roc_auc", "log_loss")},
            "auc_gain": dict(zip(("value", "low", "high"), gain, strict=True)),
        }
        low, value, high = gain[1], gain[0], gain[2]
        words = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
        print(f"{weights:50} {found['accuracy']!s:24} {found['roc_auc']!s:24} {words}", flush=True)
        if given.json:
            given.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def difference(
    labels: np.ndarray, groups: np.ndarray, ours: np.ndarray, theirs: np.ndarray
) -> tuple[float, float, float]:
    """How much higher our AUC is, mean over repeats, with its interval over groups.

    Args:
        ours, theirs: probabilities of the classes, (repeats, n, 2), of the same slices.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng, gains = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        repeat = rng.integers(len(ours))
        if np.ptp(labels[drawn]):
            one, other = (
                roc_auc_score(labels[drawn], each[repeat, drawn, 1]) for each in (ours, theirs)
            )
            gains.append(one - other)
    value = np.mean([
        roc_auc_score(labels, a[:, 1]) - roc_auc_score(labels, b[:, 1])
        for a, b in zip(ours, theirs, strict=True)
    ])  # fmt: skip
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(value), float(low), float(high)


if __name__ == "__main__":
    main()
