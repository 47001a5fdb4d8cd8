"""The figures of volumes show the curve and the probabilities that they are given."""

import numpy as np

from falx.figures import style
from falx.figures.volumes import free_response, probability_by_level


def test_the_curve_is_drawn_with_its_operating_point(of_volumes):
    scores = of_volumes().volumes
    (axes,) = free_response(scores).axes
    curve, point = axes.lines
    np.testing.assert_array_equal(curve.get_xdata(), scores.curve.false_positives)
    np.testing.assert_array_equal(curve.get_ydata(), scores.curve.sensitivity)
    assert curve.get_drawstyle() == "steps-post"
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (
        scores.false_positives.value, scores.sensitivity.value,
    )  # fmt: skip
    whiskers = [each for each in axes.collections if each.get_segments()]
    assert [each.get_segments()[0][0][0] for each in whiskers] == [1, 2, 4]


def test_intervals_of_few_patients_are_not_drawn(of_volumes):
    (axes,) = free_response(of_volumes(5).volumes).axes
    assert len(axes.collections) == 0


def test_an_operating_point_beyond_the_figure_is_named(of_volumes):
    """All twelve tumor-free slices of each volume are false positives."""
    evaluation = of_volumes(12, correct=0.0)
    table = evaluation.predictions.table
    table["group"] = np.arange(120) // 20
    table["volume"] = [f"v{number}" for number in table["group"]]
    (axes,) = free_response(evaluation.volumes).axes
    assert axes.texts[0].get_text() == "operating point: 12.0 false positives a volume, 0 % found"


def test_without_lesions_the_figure_says_so(of_volumes):
    healthy = of_volumes(5, correct=1.0)
    healthy.predictions.table["label"] = "no"
    (axes,) = free_response(healthy.volumes).axes
    assert not axes.lines
    assert axes.texts[0].get_text() == "no lesions: no curve"


def test_means_by_level_are_drawn_for_both_kinds_of_slices():
    levels = np.array([0.01, 0.02, 0.5, 0.51, 0.99, 1.0])
    positive = np.array([False, False, True, False, True, True])
    figure = probability_by_level(levels, positive, [0.1, 0.3, 0.9, 0.2, 0.5, 0.7], 0.4)
    threshold, free, tumor = figure.axes[0].lines
    assert list(threshold.get_ydata()) == [0.4, 0.4]
    np.testing.assert_allclose(free.get_xdata(), [0.5 / 12, 6.5 / 12])
    np.testing.assert_allclose(free.get_ydata(), [0.2, 0.2])
    np.testing.assert_allclose(tumor.get_ydata(), [0.9, 0.6])
    assert [line.get_label() for line in figure.axes[0].lines] == [
        "threshold", "tumor-free", "with tumor",
    ]  # fmt: skip


def test_a_kind_without_slices_has_no_line(tmp_path):
    figure = probability_by_level([0.2, 0.4], [False, False], [0.1, 0.2], None)
    free, tumor = figure.axes[0].lines
    assert len(free.get_xdata()) == 2
    assert len(tumor.get_xdata()) == 0
    style.save(figure, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 1000
