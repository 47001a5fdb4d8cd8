"""Cross-validations of the same slices, folds and seeds, each compared with the first.

    python benchmarks/ablations.py RUN RUN... [--json FILE]

A run is a folder that falx crossval made, of two classes. Prints a row for each: accuracy and ROC
AUC with 95 % confidence intervals over groups and repeats, and the gain over the first run, paired
over the same resamples.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from falx.errors import FalxError
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.metrics import bootstrap_metrics
from falx.evaluation.predictions import Predictions
from falx.runs.reading import open_run
from falx.serialization import write_json
from falx.statistics import Estimate, Floats, percentile_interval

METRICS = ("accuracy", "roc_auc")
_IDENTITY = ["path", "index", "label", "group"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        evaluations = {str(run): read_evaluation(run) for run in arguments.runs}
    except FalxError as error:
        sys.exit(str(error))
    first = next(iter(evaluations.values()))
    reference = bootstrap(first.predictions)
    rows = {}
    print(f"{'':24} {'accuracy':24} {'ROC AUC':24} {'gain in accuracy':26} gain in AUC")
    for name, evaluation in evaluations.items():
        if not is_comparable(evaluation.predictions, first.predictions):
            sys.exit(f"'{name}' has other slices or folds than the first run; compare the same.")
        estimates = {metric: evaluation.scores.estimates[metric] for metric in METRICS}
        row = estimates
        if evaluation is not first:
            metrics = bootstrap(evaluation.predictions)
            gains = {
                metric: gain(metrics[metric], reference[metric], evaluation) for metric in METRICS
            }
            row = estimates | {f"{metric}_gain": value for metric, value in gains.items()}
        rows[name] = row
        print(f"{name:24} {as_row(row)}")
    if arguments.json:
        write_json(arguments.json, rows)


def read_evaluation(run: Path) -> Evaluation:
    """The evaluation of a cross-validation of two classes."""
    evaluation = open_run(run).evaluation
    predictions = evaluation.predictions
    if not predictions.is_cross_validated or len(predictions.classes) != 2:
        sys.exit(f"'{run}' is no cross-validation of two classes.")
    return evaluation


def is_comparable(one: Predictions, other: Predictions) -> bool:
    """Whether two runs predicted the same slices in the same folds."""
    same_slices = one.table[_IDENTITY].equals(other.table[_IDENTITY])
    return same_slices and np.array_equal(one.folds, other.folds)


def bootstrap(predictions: Predictions) -> dict[str, tuple[float, Floats]]:
    """Every metric and its replicates; the same resamples for runs of the same slices."""
    return bootstrap_metrics(
        predictions.labels,
        list(predictions.probabilities),
        predictions.groups,
        predictions.classes,
        threshold=predictions.thresholds,
    )


def gain(
    metric: tuple[float, Floats], reference: tuple[float, Floats], evaluation: Evaluation
) -> Estimate:
    """How much a metric exceeds its reference, from both values and their paired replicates."""
    value = metric[0] - reference[0]
    groups = evaluation.scores.groups
    interval = percentile_interval(value, metric[1] - reference[1], groups)
    return interval or Estimate(value, math.nan, math.nan)


def as_row(estimates: dict[str, Estimate]) -> str:
    """Two metrics and, except for the first run, their gains."""
    cells = [f"{estimates[metric]!s:24}" for metric in METRICS]
    gains = [estimates[f"{metric}_gain"] for metric in METRICS if f"{metric}_gain" in estimates]
    return " ".join([*cells, *(f"{_signed(each):26}" for each in gains)])


def _signed(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return f"{estimate.value:+.3f}"
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


if __name__ == "__main__":
    main()
