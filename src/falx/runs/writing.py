"""The files that a run leaves beside its detector and its report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from falx.data.split import split_table
from falx.evaluation.patients import patient_table
from falx.evaluation.predictions import Predictions
from falx.runs.run import RECIPE_FILE, Run
from falx.serialization import to_json, write_json

RECORD_FILE = "run.json"
ENVIRONMENT_FILE = "environment.json"
CATALOG_FILE = "catalog.parquet"
PREDICTIONS_FILE = "predictions.csv"
METRICS_FILE = "metrics.json"
SPLIT_FILE = "split.csv"
HISTORY_FILE = "history.csv"
ERRORS_FILE = "errors.csv"
LABEL_ISSUES_FILE = "label_issues.csv"
PATIENTS_FILE = "by_patient.csv"
ROBUSTNESS_FILE = "robustness.csv"


def write_run(run: Run, folder: Path) -> None:
    """Write everything that a run keeps, but for its detector, checkpoints, figures and report.

    Args:
        folder: where to write; that of the run, perhaps under its temporary name.
    """
    evaluation = run.evaluation
    record = to_json(run.record)
    write_json(folder / ENVIRONMENT_FILE, record.pop("environment"))
    record |= {"command": run.record.command, "rules": evaluation.predictions.rules}
    write_json(folder / RECORD_FILE, record)
    run.catalog.save(folder / CATALOG_FILE)
    if run.recipe:
        (folder / RECIPE_FILE).write_text(run.recipe.to_yaml(), "utf-8")
    if run.split:
        table = split_table(run.catalog.usable().table, run.split)
        table.to_csv(folder / SPLIT_FILE, index=False)
    if run.history is not None:
        run.history.to_csv(folder / HISTORY_FILE, index=False)
    metrics = evaluation.as_dict()
    if run.random_split:
        metrics["random_split"] = run.random_split.as_dict()
    if run.kind == "cross-validation":
        check = evaluation.label_check
        metrics["label_issues"] = len(check.label_issues)
        check.as_table(run.catalog.usable()).to_csv(folder / LABEL_ISSUES_FILE, index=False)
    write_json(folder / METRICS_FILE, metrics)
    run.predictions.to_csv(folder / PREDICTIONS_FILE, index=False)
    _errors(evaluation.predictions).to_csv(folder / ERRORS_FILE, index=False)
    if evaluation.patients:
        patient_table(evaluation.patients).to_csv(folder / PATIENTS_FILE, index=False)
    if evaluation.robustness:
        evaluation.robustness.table.to_csv(folder / ROBUSTNESS_FILE, index=False)


def _errors(predictions: Predictions) -> pd.DataFrame:
    """A row a misclassified slice: path, index, label, predicted, probability, times."""
    columns = ["path", "label", "predicted", "probability", "times"]
    table = pd.DataFrame(map(asdict, predictions.misclassifications()), columns=columns)
    table.insert(1, "index", predictions.table["index"].to_numpy()[predictions.wrong])
    return table
