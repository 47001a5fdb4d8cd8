"""A forest plot must show the estimates that it is given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from falx.errors import BadInput
from falx.evaluation.metrics import Scores
from falx.figures.forest import forest_plot
from falx.statistics import Estimate, wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TWO = ("no", "yes")
ESTIMATE = Estimate(0.91, 0.82, 0.98)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def reported(**estimates: Estimate) -> Scores:
    return Scores(32, 32, TWO, estimates, {}, np.zeros((2, 2), np.int64))


def test_a_forest_plot_shows_estimates_and_intervals() -> None:
    unsure = Estimate(0.8, math.nan, math.nan)
    both = reported(accuracy=ESTIMATE, roc_auc=unsure)
    paper = reported(accuracy=wilson_interval(29, 32))
    (axes,) = forest_plot({"ours": both, "paper": paper}, ["accuracy", "roc_auc"]).axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == ["ours", "paper", "ours", "paper"]
    assert texts(axes) == [
        "Accuracy",
        "0.910 (0.820 to 0.980)",
        "0.906 (0.758 to 0.968)",
        "ROC AUC",
        "0.800",
        "not reported",
    ]
    whiskers, dots = axes.lines[0::2], axes.lines[1::2]
    assert [dot.get_xdata()[0] for dot in dots] == [0.91, 29 / 32, 0.8]
    assert list(whiskers[0].get_xdata()) == [0.82, 0.98]
    assert np.isnan(whiskers[2].get_xdata()).all()
    ticks = axes.get_yticks()
    assert [dot.get_ydata()[0] for dot in dots] == list(ticks[:3])
    assert dots[0].get_marker() != dots[1].get_marker()
    assert dots[0].get_color() == dots[2].get_color() != dots[1].get_color()
    bottom, top = axes.get_ylim()
    assert bottom > max(ticks) > min(ticks) > top


def test_an_undefined_estimate_has_no_marker() -> None:
    undefined = reported(mcc=Estimate(math.nan, math.nan, math.nan))
    (axes,) = forest_plot({"a": undefined}, ["mcc"]).axes
    assert texts(axes) == ["Matthews correlation", "undefined"]
    assert not axes.lines


@pytest.mark.parametrize("metrics", [["acuracy"], []])
def test_unknown_or_no_metrics_are_refused(metrics: list[str]) -> None:
    with pytest.raises(BadInput, match="`metrics` must be one or more of accuracy"):
        forest_plot({"a": reported(accuracy=ESTIMATE)}, metrics)
