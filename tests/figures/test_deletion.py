"""The figure of deletion and insertion must show the curves that it is given."""

import numpy as np

from falx.evaluation.deletion import Curve, DeletionScores, PerturbationCurves
from falx.figures.deletion import deletion_insertion
from falx.statistics import Estimate

GAIN = Estimate(0.2, 0.1, 0.3)


def curves(*ends):
    by_map, by_random, by_other = (
        Curve((Estimate(0.9, 0.8, 1), Estimate(end, end - 0.1, end + 0.1)), GAIN) for end in ends
    )
    return PerturbationCurves(by_map, by_random, by_other, GAIN, GAIN)


def test_two_panels_show_three_orders_each():
    deletion, insertion = curves(0.2, 0.5, 0.4), curves(0.8, 0.6, 0.7)
    figure = deletion_insertion(DeletionScores(12, 10, deletion, insertion))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Deletion: lower is more faithful", "Insertion: higher is more faithful"
    ]  # fmt: skip
    for axes, ends in zip(figure.axes, ((0.2, 0.4, 0.5), (0.8, 0.7, 0.6)), strict=True):
        assert [line.get_label() for line in axes.lines] == [
            "own map", "another slice's map", "random order"
        ]  # fmt: skip
        for line, end in zip(axes.lines, ends, strict=True):
            np.testing.assert_allclose(line.get_ydata(), [0.9, end])
            np.testing.assert_allclose(line.get_xdata(), [0, 1])
        assert len(axes.collections) == 3


def test_bands_are_the_confidence_intervals():
    figure = deletion_insertion(DeletionScores(12, 10, *[curves(0.2, 0.5, 0.4)] * 2))
    (path,) = figure.axes[0].collections[0].get_paths()
    heights = path.vertices[:, 1]
    assert heights.min() == 0.1
    assert heights.max() == 1
