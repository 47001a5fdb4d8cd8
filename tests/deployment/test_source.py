"""What an export is made from: the network that the detector runs, and slices where they lie now."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

import falx
from falx.deployment import source as module
from falx.deployment.source import ExportSource, open_source, outputs_of
from falx.errors import BadInput, BrokenRun
from falx.exporting.runtimes import Outputs


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run that may be changed."""
    return shutil.copytree(run, tmp_path / "run")


def opened(run, data=None) -> ExportSource:
    return open_source(run, data=data, cache_gb=1)


def test_exports_are_checked_on_slices_that_the_network_was_not_trained_on(run):
    source = opened(run)
    split = pd.read_csv(run / "split.csv")
    rows = np.flatnonzero(split["part"] != "train")
    assert source.rows.tolist() == rows.tolist()
    views_per_slice, rest = divmod(len(source.views), len(rows))
    assert (views_per_slice, rest) == (8, 0)
    probabilities = pd.read_csv(run / "predictions.csv").set_index("path")["p_yes"]
    expected = probabilities[split["path"][rows]].to_numpy()
    plain = source.expected.probabilities[: len(rows), 1]
    assert plain == pytest.approx(expected, abs=1e-4)


def test_calibration_views_are_of_training_slices(run):
    source = opened(run)
    assert source.calibration.dtype == np.uint8
    assert len(source.calibration) % len(source.split.train) == 0


def test_a_rare_class_is_in_the_sample():
    labels = np.array([0] * 900 + [1] * 3)
    rows = module._stratified_sample(np.arange(903), labels, np.random.default_rng(0))
    assert len(rows) == 513
    assert set(labels[rows]) == {0, 1}
    few = module._stratified_sample(
        np.array([4, 2, 9]), np.array([0, 1, 0]), np.random.default_rng(0)
    )
    assert few.tolist() == [2, 4, 9]


def test_outputs_are_those_of_all_batches():
    def runtime(views):
        assert len(views) <= 32
        n, levels = len(views), views[:, 0, 0].astype(float)
        return Outputs(levels[:, None], np.zeros((n, 2, 2, 1)), np.zeros((n, 2)), levels)

    views = np.tile(np.arange(70, dtype=np.uint8)[:, None, None], (1, 4, 4))
    assert outputs_of(runtime, views).distances.tolist() == list(range(70))


def test_slices_that_were_moved_are_found_in_the_folder_named(copy, phantoms, tmp_path):
    moved = shutil.copytree(phantoms, tmp_path / "moved")
    source = opened(copy, data=moved)
    assert source.usable.root == moved
    assert np.array_equal(source.views, opened(copy).views)
    with pytest.raises(BadInput, match="say with --data in which folder they lie now"):
        opened(copy, data=tmp_path / "nowhere")


def test_a_network_other_than_that_of_the_detector_is_refused(copy):
    file = copy / "detector" / "network.keras"
    network = keras.saving.load_model(file)
    network.get_layer("logits").bias.assign([5.0])
    network.save(file)
    with pytest.raises(BrokenRun, match="differ by up to"):
        opened(copy)


def test_a_network_that_keras_can_not_read_is_damaged(copy):
    (copy / "detector" / "network.keras").write_bytes(b"no archive")
    with pytest.raises(BrokenRun, match=r"network.keras' can't be read|is damaged"):
        opened(copy)


def test_an_evaluation_has_no_network(run, phantoms, tmp_path):

    done = falx.evaluate(run, phantoms, out=tmp_path / "evaluated")
    with pytest.raises(BadInput, match="is no training, so it has no network"):
        opened(done.folder)


def test_a_network_whose_outputs_are_not_finite_is_refused(run, monkeypatch):
    def broken(runtime, views):
        return replace(outputs_of(runtime, views), distances=np.full(len(views), np.nan))

    monkeypatch.setattr(module, "outputs_of", broken)
    with pytest.raises(BrokenRun, match=r"gives outputs that are not finite, .*; train again"):
        opened(run)


def test_a_detector_without_a_run_is_checked_on_slices_that_are_named(phantoms):
    source = opened(None, data=phantoms)
    groups = source.usable.groups
    assert source.settings.classes == ("no tumor", "tumor")
    assert set(source.rows.tolist()) == {*source.split.validation, *source.split.test}
    assert not set(groups[source.rows]) & set(groups[source.split.train])


def test_a_detector_without_a_run_needs_slices():
    with pytest.raises(BadInput, match="name labeled ones with --data"):
        opened(None)


def test_a_detector_that_was_taken_out_of_its_run_is_refused(run, tmp_path, phantoms):
    shutil.copytree(run / "detector", tmp_path / "detector")
    with pytest.raises(BadInput, match="was taken out of its run"):
        opened(tmp_path / "detector", data=phantoms)
