"""A run in Python: detector, scores, predictions, figures, page and network."""

import shutil
import webbrowser

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import falx
from falx.errors import BrokenRun
from falx.model.scaling import network_input
from falx.notice import NOTICE

METRIC = "balanced_accuracy"


@pytest.fixture(scope="module")
def opened(run):
    return falx.open_run(str(run))


def test_scores_are_attributes(opened):
    accuracy = opened.scores.accuracy
    assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1
    assert accuracy is opened.scores.estimates["accuracy"]
    assert {METRIC, "roc_auc", "n"} <= set(dir(opened.scores))
    with pytest.raises(AttributeError, match="There is no metric 'acuracy', only accuracy, "):
        _ = opened.scores.acuracy


def test_scores_show_themselves(opened):
    html = opened.scores._repr_html_()
    value = opened.scores.roc_auc
    assert f"<td>roc auc</td><td>{value.value:.3f}</td>" in html
    # Of ten groups, too few tell about an AUC.
    assert "<td>none, of too few groups</td>" in html
    accuracy = opened.scores.accuracy
    assert f"{accuracy.low:.3f} to {accuracy.high:.3f}" in html
    assert f"{opened.scores.n} slices of " in html
    assert "\n" not in repr(opened.scores)


def test_predictions_are_those_of_the_file(opened, run):
    file = pd.read_csv(run / "predictions.csv", keep_default_na=False)
    found = opened.predictions
    assert list(found.columns) == list(file.columns)
    assert len(found) == len(file) > 10
    for name in file:
        if pd.api.types.is_float_dtype(file[name]):
            np.testing.assert_allclose(found[name].to_numpy(float), file[name], atol=1e-5)
        else:
            assert found[name].astype(str).tolist() == file[name].astype(str).tolist()
    assert set(found["part"]) == {"validation", "test"}


def test_figures_are_drawn_by_name(opened):
    assert {"roc", "confusion_matrix", "calibration", "training"} <= set(opened.figures)
    assert isinstance(opened.figures["roc"], Figure)
    with pytest.raises(KeyError, match="no figure 'rco', only confusion_matrix, roc"):
        _ = opened.figures["rco"]
    # None stays open, so a notebook shows it once.
    assert plt.get_fignums() == []


def test_every_figure_can_be_drawn(opened):
    for name, figure in opened.figures.items():
        assert figure.axes, name


def test_the_detector_is_that_of_the_folder(opened, run, phantoms):
    files = sorted((phantoms / "yes").iterdir())[:3]
    assert opened.detector.predict(files) == falx.load(run).predict(files)
    assert repr(opened.detector).startswith("Detector(no | yes; lite, 64 x 64)")


def test_the_page_opens_in_the_browser(opened, run, monkeypatch):
    asked = []
    monkeypatch.setattr(webbrowser, "open", asked.append)
    opened.report.open()
    assert asked == [(run / "report.html").as_uri()]
    assert opened.report._repr_html_().startswith("<iframe srcdoc=")
    assert opened.report.path.samefile(run / "report.html")


def test_the_network_of_keras_gives_the_logits_of_the_detector(opened):
    views = np.random.default_rng(0).integers(0, 256, (4, 64, 64), np.uint8)
    logits = opened.keras_model.predict(network_input(views), verbose=0)
    expected = opened.detector._engine.logits(views)
    assert np.shape(logits) == expected.shape
    np.testing.assert_allclose(logits, expected, atol=1e-3)


def test_a_run_shows_scores_and_pictures(opened, run):
    html = opened._repr_html_()
    assert html.count("data:image/png;base64,") == 2
    assert "training: lite on phantoms" in html
    assert NOTICE in html
    assert "<td>accuracy</td>" in html
    assert repr(opened).startswith(f"Run('{run.absolute()}', training, lite on phantoms: Scores(")
    assert "\n" not in repr(opened)


def test_a_run_whose_name_holds_markup_is_escaped(run, tmp_path):
    moved = shutil.copytree(run, tmp_path / "<b>&run")
    html = falx.open_run(moved)._repr_html_()
    assert "&lt;b&gt;&amp;run" in html
    assert "<b>" not in html


def test_a_run_without_a_detector_says_so(run, tmp_path):
    moved = shutil.copytree(run, tmp_path / "moved")
    found = falx.open_run(moved)
    shutil.rmtree(moved / "detector")
    with pytest.raises(BrokenRun, match="neither a run nor a detector"):
        _ = found.detector
