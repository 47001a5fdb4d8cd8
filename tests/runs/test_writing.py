"""What a run keeps is what is read back, numbers of volumes and patients included."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from falx.runs.reading import open_run
from falx.runs.writing import write_run
from falx.serialization import to_json


@pytest.fixture
def of_volumes(run):
    """A real run whose slices are said to be volumes of six slices, one of each patient."""
    found = open_run(run)
    table = found.catalog.table
    number = np.random.default_rng(0).permutation(len(table)) // 6
    names = np.array([f"p{each:02}" for each in number])
    volumes = table.assign(
        patient=names, volume=names, group=number, plane="axial", region="brain",
        level=table.groupby(number).cumcount() / 100,
    )  # fmt: skip
    catalog = replace(found.catalog, table=volumes)
    predictions = found.evaluation.predictions
    rows = catalog.usable().table.iloc[predictions.rows].reset_index(drop=True)
    evaluation = replace(found.evaluation, predictions=replace(predictions, table=rows))
    return replace(found, catalog=catalog, evaluation=evaluation)


def test_volumes_and_patients_are_read_back_as_they_were_written(of_volumes, run, tmp_path):
    shutil.copytree(run / "detector", tmp_path / "detector")
    write_run(of_volumes, tmp_path)
    written, read = of_volumes.evaluation, open_run(tmp_path).evaluation
    assert to_json(read.as_dict()) == to_json(written.as_dict())
    assert to_json(read.patients) == to_json(written.patients)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["volumes"] == to_json(read.volumes)
    assert metrics["level"] == to_json(read.levels)
    assert metrics["studies"] == to_json(read.studies)


def test_patients_have_a_file_of_their_own(of_volumes, tmp_path):
    write_run(of_volumes, tmp_path)
    table = pd.read_csv(tmp_path / "by_patient.csv")
    patients = of_volumes.evaluation.patients
    assert table["patient"].tolist() == [each.patient for each in patients]
    assert table["roc_auc"].tolist() == pytest.approx(
        [each.roc_auc for each in patients], nan_ok=True
    )
    assert table["slices"].sum() == len(of_volumes.evaluation.predictions)


def test_without_patients_or_volumes_there_is_nothing_of_them(run):
    assert not (run / "by_patient.csv").exists()
    metrics = json.loads((run / "metrics.json").read_text())
    assert not {"level", "volumes", "studies"} & set(metrics)
