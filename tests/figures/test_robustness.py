"""The figure of robustness shows every row, and the uncorrupted slices as a line."""

import numpy as np

from falx.evaluation.robustness import RobustnessRow, RobustnessScores
from falx.figures.robustness import robustness
from falx.statistics import Estimate


def row(corruption, strength, *values):
    estimates = [Estimate(value, value, value) for value in values]
    return RobustnessRow(corruption, strength, "", *estimates, 0.0, 0.0)


SCORES = RobustnessScores(
    9, 9, row("none", 0, 0.9, 0.8, 0.7, 0.02, 0.1),
    (row("blur", 1, 0.8, 0.7, 0.6, 0.1, 0), row("blur", 2, 0.5, 0.4, 0.3, 0.9, 0),
     row("mirror", 1, 0.9, 0.8, 0.7, 0.0, 0)),
)  # fmt: skip


def test_each_panel_shows_a_number_of_each_row():
    figure = robustness(SCORES)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["ROC AUC", "Sensitivity", "Specificity", "Rejected as OOD"]
    expected = [([0.8, 0.9], [0.5]), ([0.7, 0.8], [0.4]), ([0.6, 0.7], [0.3]), ([0.1, 0.0], [0.9])]
    for axes, (mild, moderate), clean in zip(
        figure.axes, expected, (0.9, 0.8, 0.7, 0.02), strict=True
    ):
        line, *markers = axes.lines
        assert list(line.get_xdata()) == [clean, clean]
        np.testing.assert_allclose(markers[0].get_xdata(), mild)
        np.testing.assert_allclose(markers[1].get_xdata(), moderate)


def test_rows_are_named_in_order_from_the_top():
    first = robustness(SCORES).axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["blur", "mirror"]
    bottom, top = first.get_ylim()
    assert bottom > top
