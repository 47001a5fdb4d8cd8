"""The same code trains on JAX, the backend for GPUs, without OpenVINO or TensorFlow.

In a process of its own, since Keras chooses its backend once.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import falx

pytestmark = pytest.mark.slow

TRAIN = """
import sys, json, falx
from falx.training import trunk

trunk.OpenVinoTrunk = None
changes = {"backbone.width": "0.35", "rendering.size": "64", "phases.0.epochs": "2",
           "phases.1.epochs": "1"}
falx.train(
    sys.argv[1], recipe="lite", changes=changes, weights=sys.argv[2], out=sys.argv[3]
)
"""


@pytest.fixture(scope="module")
def run(phantoms, tmp_path_factory):
    from falx.model.network import backbone_of, build_network

    folder = tmp_path_factory.mktemp("jax")
    recipe = falx.load_recipe("lite").changed({"backbone.width": "0.35", "rendering.size": "64"})
    weights = folder / "backbone.weights.h5"
    backbone_of(build_network(recipe, 2)).save_weights(weights)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
                   "FALX_CACHE": str(folder / "cache")}  # fmt: skip
    command = [sys.executable, "-c", TRAIN, str(phantoms), str(weights), str(folder / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "run"


def test_the_run_is_complete_and_names_its_backend(run):
    assert json.loads((run / "run.json").read_text())["backend"] == "jax"
    history = pd.read_csv(run / "history.csv")
    assert history["phase"].tolist() == ["frozen", "frozen", "tuned"]
    assert np.isfinite(history["val_loss"]).all()


def test_its_detector_gives_the_same_probabilities_elsewhere(run, phantoms):
    table = pd.read_csv(run / "predictions.csv").query("part == 'test'")
    findings = falx.load(run).predict([phantoms / path for path in table["path"]]).slices
    found = {finding.path.name: finding.probabilities["yes"] for finding in findings}
    for row in table.itertuples():
        assert found[row.path.split("/")[-1]] == pytest.approx(row.p_yes, abs=1e-5)
