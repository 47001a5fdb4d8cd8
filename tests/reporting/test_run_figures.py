"""The figures of a run: which there are, in the order of the report, each a file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from falx.evaluation.deletion import Curve, DeletionScores, PerturbationCurves
from falx.evaluation.faithfulness import FaithfulnessScores
from falx.figures.training_curves import HISTORY
from falx.reporting import run_figures as module
from falx.reporting.run_figures import draw_figures
from falx.statistics import Estimate

PREDICTIONS = [
    "confusion_matrix.png", "roc.png", "precision_recall.png", "probabilities.png",
    "calibration.png",
]  # fmt: skip


@pytest.fixture
def sheets(monkeypatch):
    """The contact sheets that are drawn: title to captions, pictures and marks."""
    found = {}
    original = module.contact_sheet

    def recording(images, captions, *, title, marks=None):
        found[title] = (list(captions), [int(image[0, 0]) for image in images], marks)
        return original(images, captions, title=title, marks=marks)

    monkeypatch.setattr(module, "contact_sheet", recording)
    return found


@pytest.fixture
def drawn(tmp_path):
    """A function that draws the figures of a run and names their files."""

    def draw(run, **options):
        figures = draw_figures(run, views(run), tmp_path / "figures", **options)
        for figure in figures:
            assert figure.path.parent == tmp_path / "figures"
            assert figure.path.read_bytes().startswith(b"\x89PNG")
            assert figure.title
            assert figure.caption.endswith(".")
        return [figure.path.name for figure in figures]

    return draw


def views(run):
    """A view for each usable slice, whose gray level is its row."""
    rows = np.arange(len(run.catalog.usable()), dtype=np.uint8)
    return np.tile(rows[:, None, None], (1, 32, 32))


def history():
    numbers = {name: [0.5, 0.4] for name in HISTORY}
    return pd.DataFrame(numbers | {"epoch": [1, 2], "phase": "head", "best": [False, True]})


def test_a_test_set_has_samples_and_its_worst_errors(make_report, drawn, sheets):
    run = make_report(verb="evaluate").run
    assert drawn(run) == [*PREDICTIONS, "samples.png", "worst_errors.png"]
    predictions = run.evaluation.predictions
    captions, pictures, marks = sheets["Worst errors"]
    assert pictures == predictions.wrong.tolist()
    assert marks == [False] * 4
    row = predictions.wrong[0]
    label, positive = predictions.labels[row], predictions.probabilities[0, row, 1]
    names = ("no → yes", "yes → no")[label]
    assert captions[0] == f"{names}, p(yes) {positive:.2f}"


def test_samples_are_spread_over_the_classes(make_report, make_evaluation, drawn, sheets):
    run = make_report(make_evaluation(56, 60), "evaluate").run
    drawn(run)
    captions, pictures, marks = sheets["Test slices"]
    assert len(captions) == len(set(pictures)) == 24
    labels = run.evaluation.predictions.labels[pictures]
    assert labels.tolist() == sorted(labels)
    assert np.bincount(labels).tolist() == [12, 12]
    assert marks == [row < 56 for row in pictures]


def test_without_errors_there_is_no_sheet_of_them(make_report, make_evaluation, drawn):
    run = make_report(make_evaluation(38, 38), "evaluate").run
    assert drawn(run) == [*PREDICTIONS, "samples.png"]


def test_a_training_has_its_curves_and_training_views(make_report, drawn, sheets):
    run = make_report(history=history()).run
    names = drawn(run, training_views=[np.zeros((32, 32), np.uint8)] * 6)
    assert names == [
        *PREDICTIONS, "samples.png", "worst_errors.png", "training.png", "views.png"
    ]  # fmt: skip
    assert sheets["Training views"][0] == [""] * 6


def test_a_head_that_is_fitted_at_once_has_no_curves(make_report, drawn):
    names = drawn(
        make_report(history=history().iloc[:1]).run,
        training_views=[np.zeros((32, 32), np.uint8)],
    )
    assert names[-2:] == ["worst_errors.png", "views.png"]


def test_the_pictures_are_those_of_the_rows_of_the_catalog(
    make_report, make_evaluation, drawn, sheets
):
    """Tested slices lie anywhere in the catalog."""
    evaluation = make_evaluation(8, 10)
    rows = np.arange(20, 30)
    evaluation = replace(evaluation, predictions=replace(evaluation.predictions, rows=rows))
    drawn(make_report(evaluation).run, training_views=[np.zeros((32, 32), np.uint8)])
    assert set(sheets["Worst errors"][1]) == {28, 29}


def test_a_random_split_is_compared(make_report, make_evaluation, drawn):
    run = make_report(verb="evaluate", random_split=make_evaluation(37, 38, leaked=11)).run
    assert drawn(run)[-1] == "splits.png"


def test_deletion_is_drawn_where_it_was_measured(make_report, make_evaluation, drawn):
    gain = Estimate(0.2, 0.1, 0.3)
    curve = Curve((Estimate(0.9, 0.8, 1), gain), gain)
    curves = PerturbationCurves(curve, curve, curve, gain, gain)
    for deletion, expected in ((DeletionScores(12, 10, curves, curves), True), (None, False)):
        faithfulness = FaithfulnessScores(12, 30, deletion, None)
        evaluation = make_evaluation(34, 38, faithfulness=faithfulness)
        names = drawn(make_report(evaluation, "evaluate").run)
        assert ("deletion_and_insertion.png" in names) == expected


def test_volumes_have_figures_of_their_own_section(make_report, of_volumes, tmp_path):
    run = make_report(of_volumes(), "evaluate").run
    figures = draw_figures(run, views(run), tmp_path)
    assert [(each.path.name, each.section) for each in figures][-2:] == [
        ("free_response.png", "volumes"), ("probability_by_level.png", "volumes"),
    ]  # fmt: skip
    assert {each.section for each in figures[:-2]} == {"figures"}


def test_repeats_have_errors_by_how_often_and_label_issues(
    make_report, make_evaluation, drawn, sheets
):
    evaluation = make_evaluation((36, 38, 39), 40, folds=2)
    names = drawn(make_report(evaluation, "crossval").run)
    assert names == [*PREDICTIONS, "repeated_errors.png", "label_issues.png"]
    captions, pictures, _ = sheets["Repeated errors"]
    assert captions[:2] == ["yes → no, 3 of 3", "no → yes, 2 of 3"]
    assert pictures[:2] == [39, 38]
    issues = evaluation.label_check.label_issues
    assert sheets["Label issues"][1] == [issue.row for issue in issues]
    assert sheets["Label issues"][0][0] == f"yes → no\np(yes) {issues[0].probability:.2f}"


def test_a_single_repeat_has_samples_and_worst_errors(make_report, make_evaluation, drawn):
    evaluation = make_evaluation(36, 40, folds=2)
    names = drawn(make_report(evaluation, "crossval").run)
    assert names[: len(PREDICTIONS) + 2] == [*PREDICTIONS, "samples.png", "worst_errors.png"]


def test_without_errors_repeats_have_no_sheet(make_report, make_evaluation, drawn):
    names = drawn(make_report(make_evaluation((40, 40), 40, folds=2), "crossval").run)
    assert names == PREDICTIONS
