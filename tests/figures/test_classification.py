"""Figures of a classifier must show the numbers that they are given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from falx.errors import BadInput
from falx.figures import classification as figures
from falx.figures import style
from falx.statistics import Estimate, wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TWO = ("no", "yes")
FOUR = ("glioma", "meningioma", "no tumor", "pituitary")
ESTIMATE = Estimate(0.91, 0.82, 0.98)


def predictions(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=n - classes)])
    raw = np.exp(rng.normal(size=(n, classes)) + 2 * np.eye(classes)[labels])
    return labels, raw / raw.sum(axis=1, keepdims=True)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def line(axes: Axes, label: str) -> np.ndarray:
    found = [one for one in axes.lines if one.get_label() == label]
    assert len(found) == 1
    return np.asarray(found[0].get_xydata())


def legend(axes: Axes) -> tuple[str, list[str]]:
    found = axes.get_legend()
    assert found is not None
    return found.get_title().get_text(), [text.get_text() for text in found.get_texts()]


def test_a_confusion_matrix_shows_counts_and_fractions() -> None:
    counts, shares = figures.confusion_matrix([[12, 4], [1, 3]], TWO).axes
    assert texts(counts) == ["12", "4", "1", "3"]
    assert texts(shares) == ["75 %", "25 %", "25 %", "75 %"]
    shown = np.asarray(shares.images[0].get_array())
    np.testing.assert_allclose(shown, [[0.75, 0.25], [0.25, 0.75]])
    for ticks in (counts.get_xticklabels(), counts.get_yticklabels(), shares.get_xticklabels()):
        assert [tick.get_text() for tick in ticks] == list(TWO)
    assert (counts.get_xlabel(), counts.get_ylabel()) == ("Predicted", "True")


def test_confusion_matrix_of_a_class_without_slices() -> None:
    _, shares = figures.confusion_matrix([[0, 0], [1, 3]], TWO).axes
    assert texts(shares) == ["none", "none", "25 %", "75 %"]


@pytest.mark.parametrize("share", np.linspace(0, 1, 11))
def test_numbers_stand_out_from_their_cell(share: float) -> None:
    """By at least 3:1, what WCAG 2.2 asks of large text and of parts of graphics."""
    right = round(100 * share)
    axes = figures.confusion_matrix([[right, 100 - right], [0, 1]], TWO).axes[0]
    paper = luminance(style.SHADES(right / 100))
    ink = luminance(mpl.colors.to_rgb(axes.texts[0].get_color()))
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 3


def luminance(color: Any) -> float:
    rgb = np.array(color[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_a_confusion_matrix_of_another_shape_is_refused() -> None:
    with pytest.raises(BadInput, match=r"each of no, yes; got the shape \(3, 3\)"):
        figures.confusion_matrix(np.eye(3), TWO)


def test_roc_is_the_curve() -> None:
    labels, p = predictions(40, 2)
    (axes,) = figures.roc(labels, p, TWO, ESTIMATE).axes
    away, hits, _ = roc_curve(labels, p[:, 1], drop_intermediate=False)
    drawn = line(axes, f"yes {roc_auc_score(labels, p[:, 1]):.2f}")
    np.testing.assert_allclose(drawn, np.column_stack([away, hits]))
    assert legend(axes) == (f"AUC {ESTIMATE}", [])


def test_roc_of_many_classes_has_a_curve_each() -> None:
    labels, p = predictions(80, 4)
    (axes,) = figures.roc(labels, p, FOUR, ESTIMATE).axes
    names = [f"{c} {roc_auc_score(labels == k, p[:, k]):.2f}" for k, c in enumerate(FOUR)]
    assert legend(axes) == (f"AUC (macro) {ESTIMATE}", names)
    away, hits, _ = roc_curve(labels == 2, p[:, 2], drop_intermediate=False)
    np.testing.assert_allclose(line(axes, names[2]), np.column_stack([away, hits]))
    curves = [one for one in axes.lines if one.get_label() in names]
    assert len({one.get_color() for one in curves}) == 4
    assert len({one.get_linestyle() for one in curves}) == 4


def test_precision_recall_is_the_curve_over_the_prevalence() -> None:
    labels, p = predictions(40, 2)
    (axes,) = figures.precision_recall(labels, p, TWO, ESTIMATE).axes
    precision, recall, _ = precision_recall_curve(labels, p[:, 1])
    curve, prevalence = axes.lines
    np.testing.assert_allclose(curve.get_xydata(), np.column_stack([recall, precision]))
    np.testing.assert_allclose(prevalence.get_ydata(), labels.mean())
    assert texts(axes) == [f"prevalence {labels.mean():.2f}"]
    assert legend(axes) == (f"Average precision {ESTIMATE}", [])


def test_precision_recall_of_many_classes() -> None:
    labels, p = predictions(80, 4)
    (axes,) = figures.precision_recall(labels, p, FOUR, ESTIMATE).axes
    levels = [one.get_ydata()[0] for one in axes.lines[1::2]]
    assert levels == pytest.approx([np.mean(labels == k) for k in range(4)])
    assert len(legend(axes)[1]) == 4


@pytest.mark.parametrize(("label", "said"), [(1, "all"), (0, "none")])
def test_an_undefined_curve_is_noted_and_not_drawn(label: int, said: str) -> None:
    p = predictions(10, 2)[1]
    labels = np.full(10, label)
    undefined = Estimate(math.nan, math.nan, math.nan)
    (axes,) = figures.roc(labels, p, TWO, undefined).axes
    assert f"{said} of these slices are yes: no curve" in texts(axes)
    assert len(axes.lines) == 1  # chance
    assert legend(axes)[0] == "AUC undefined"
    if label == 0:
        (axes,) = figures.precision_recall(labels, p, TWO, undefined).axes
        assert "none of these slices are yes: no curve" in texts(axes)
        assert not axes.lines


def heights(axes: Axes, *, hatched: bool) -> float:
    return sum(bar.get_height() for bar in axes.patches if bool(bar.get_hatch()) == hatched)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.73])
def test_probabilities_counts_correct_and_misclassified_slices(threshold: float) -> None:
    labels, p = predictions(60, 2)
    figure = figures.probabilities(labels, p, TWO, threshold)
    for k, axes in enumerate(figure.axes):
        right = int((((p[:, 1] >= threshold) == k) & (labels == k)).sum())
        total = int((labels == k).sum())
        assert axes.get_title(loc="left") == f"{TWO[k]}: {right} of {total} correct"
        assert (heights(axes, hatched=False), heights(axes, hatched=True)) == (right, total - right)
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), threshold)
    assert figure.axes[-1].get_xlabel() == "Probability of yes"
    assert figure.legends[0].get_texts()[-1].get_text() == f"threshold {threshold:.2f}"


def test_probabilities_bars_stand_where_the_slices_are() -> None:
    p = np.array([0.03, 0.04, 0.62, 0.97])
    figure = figures.probabilities([0, 0, 0, 1], np.column_stack([1 - p, p]), TWO, 0.5)
    bars = [(b.get_x() + b.get_width() / 2, b.get_height()) for b in figure.axes[0].patches]
    assert bars == [pytest.approx((0.025, 2)), pytest.approx((0.625, 1))]


def test_probabilities_of_many_classes_are_those_of_the_true_one() -> None:
    labels, p = predictions(80, 4)
    figure = figures.probabilities(labels, p, FOUR, 0.5)
    right = p.argmax(axis=1) == labels
    for k, axes in enumerate(figure.axes):
        assert heights(axes, hatched=False) == (right & (labels == k)).sum()
        assert not axes.lines
    assert figure.axes[-1].get_xlabel() == "Probability of the true class"


def test_probabilities_of_an_absent_class() -> None:
    figure = figures.probabilities([1, 1], [[0.1, 0.9], [0.8, 0.2]], TWO, 0.5)
    assert figure.axes[0].get_title(loc="left") == "no: 0 of 0 correct"
    assert not figure.axes[0].patches


@pytest.mark.parametrize("classes", [2, 4])
def test_calibration_is_the_reliability_curve_with_its_counts(classes: int) -> None:
    labels, p = predictions(120, classes)
    curve, counts = figures.calibration(labels, p, FOUR[:classes]).axes
    confidence = p[:, 1] if classes == 2 else p.max(axis=1)
    outcome = labels == 1 if classes == 2 else labels == p.argmax(axis=1)
    share, mean = calibration_curve(outcome, confidence, n_bins=10)
    np.testing.assert_allclose(curve.lines[-1].get_xydata(), np.column_stack([mean, share]))
    bars = [bar.get_height() for bar in counts.patches]
    assert bars == np.histogram(confidence, bins=10, range=(0, 1))[0].tolist()
    assert texts(counts) == [str(int(height)) for height in bars]
    whiskers = [segment[:, 1] for segment in curve.collections[0].get_segments()]
    totals = [int(height) for height in bars if height]
    for whisker, value, total in zip(whiskers, share, totals, strict=True):
        wanted = wilson_interval(round(value * total), total)
        np.testing.assert_allclose(whisker, (wanted.low, wanted.high))


@pytest.mark.parametrize("p", [np.full((3, 3), 1 / 3), np.full(3, 0.5), np.full((2, 2), 0.5)])
def test_predictions_of_another_shape_are_refused(p: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"`labels` must be \(n,\) and `probabilities` \(n, 2\)"):
        figures.calibration([0, 1, 1], p, TWO)
