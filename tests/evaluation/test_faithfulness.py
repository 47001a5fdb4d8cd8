"""Faithfulness of heat maps: which slices are sampled, and what is measured on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.detect.detector import Detector, load
from falx.detect.rules import Rules
from falx.evaluation import shuffling
from falx.evaluation.faithfulness import sample_groups, score_faithfulness
from falx.evaluation.predictions import Predictions
from falx.image.render import render


@pytest.fixture(scope="module")
def detector(run):
    return load(run)


@pytest.fixture(scope="module")
def views(detector, phantoms):
    """Plain views of the phantoms."""
    return np.stack([
        render(read_slices(phantoms / path)[0].pixels, detector.settings.rendering)
        for path in build_catalog(phantoms).usable().table["path"]
    ])  # fmt: skip


@pytest.fixture(scope="module")
def predictions(detector, views, phantoms):
    """A detector's predictions of phantoms, half of them positive."""
    p, distances = detector.predict_views(views)
    rules = Rules(threshold=float(np.median(p[:, 1])))
    usable = build_catalog(phantoms).usable()
    return Predictions.of_detector(usable, np.arange(60), p, distances, rules)


def test_the_sample_has_one_of_each_group_before_a_second_of_any():
    groups = np.repeat(np.arange(10), 5)
    for size in (1, 10, 15, 50, 80):
        rows = sample_groups(groups, size, np.random.default_rng(size))
        assert len(set(rows)) == len(rows) == min(size, 50)
        assert np.ptp(np.bincount(groups[rows], minlength=10)) <= 1
        assert (np.diff(rows) > 0).all()


def test_a_sample_may_be_empty():
    assert not len(sample_groups(np.zeros(0, int), 5, np.random.default_rng(0)))
    assert not len(sample_groups(np.zeros(9, int), 0, np.random.default_rng(0)))


def test_randomization_is_of_the_maps_that_the_detector_shows(
    run, detector, predictions, views, monkeypatch
):
    flip_ttas = []
    monkeypatch.setattr(
        shuffling, "score_randomization", lambda *_, flip_tta, **__: flip_ttas.append(flip_tta)
    )
    with_tta = Detector(replace(detector.settings, flip_tta=True), detector._engine)
    for each in (detector, with_tta):
        score_faithfulness(each, predictions, views, run / "detector", 2)
    assert flip_ttas == [False, True]


def test_of_two_classes_only_slices_predicted_positive_are_sampled(
    run, detector, predictions, views
):
    positive = int((predictions.predicted == "yes").sum())
    scores = score_faithfulness(detector, predictions, views, run / "detector", 4)
    assert (scores.n, scores.eligible) == (4, positive)
    assert (scores.randomization.n, scores.deletion.n) == (4, 4)
    start, *_, end = scores.deletion.deletion.by_map.points
    assert start.value >= predictions.median_rules.threshold >= end.value


def test_what_cannot_be_measured_is_left_out(run, detector, predictions, views):
    nowhere = run / "nowhere"
    assert score_faithfulness(detector, predictions, views, nowhere, 0) is None
    assert score_faithfulness(detector, predictions, views, nowhere, 4).randomization is None
    all_positive = replace(predictions, rules=((Rules(threshold=0.0),),))
    assert score_faithfulness(detector, all_positive, views, nowhere, 4).deletion is None


def test_of_several_classes_all_slices_are_sampled_each_for_its_prediction(predictions, views):
    levels = views.mean(axis=(1, 2))
    edges = np.quantile(levels, [1 / 3, 2 / 3])

    class BrightnessDetector:
        """Predicts by the brightness of a view, and shows all of it as evidence."""

        def probabilities(self, views):
            codes = np.digitize(views.mean(axis=(1, 2)), edges)
            return np.eye(3)[codes] * 0.7 + 0.1

        def evidence(self, views, codes, maps):
            assert maps == "flip_tta"
            assert (self.probabilities(views).argmax(axis=1) == codes).all()
            return np.ones((len(views), 2, 2))

    detector = BrightnessDetector()
    three = replace(
        predictions,
        classes=("glioma", "meningioma", "notumor"),
        probabilities=detector.probabilities(views)[None],
    )
    scores = score_faithfulness(detector, three, views, Path("nowhere"), 12)
    assert (scores.n, scores.eligible) == (12, 60)
    start, *_, end = scores.deletion.deletion.by_map.points
    assert (start.value, end.value) == (pytest.approx(0.8), pytest.approx(0.1))
