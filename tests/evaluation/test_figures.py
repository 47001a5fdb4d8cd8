"""A figure must show the numbers that it was given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib._pylab_helpers import Gcf
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from falx.errors import BadInput
from falx.evaluation import figures, style
from falx.evaluation.comparison import comparison
from falx.evaluation.contact_sheet import contact_sheet
from falx.evaluation.intervals import Estimate, wilson_interval
from falx.evaluation.metrics import Scores, score
from falx.evaluation.training_curves import HISTORY, training_curves

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TWO = ("no", "yes")
FOUR = ("glioma", "meningioma", "no tumor", "pituitary")
ESTIMATE = Estimate(0.91, 0.82, 0.98)


def predictions(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=n - classes)])
    raw = np.exp(rng.normal(size=(n, classes)) + 2 * np.eye(classes)[labels])
    return labels, raw / raw.sum(axis=1, keepdims=True)


def history(phases: tuple[str, ...] = ("frozen",) * 4 + ("tuned",) * 2) -> pd.DataFrame:
    n = len(phases)
    rng = np.random.default_rng(0)
    numbers = {c: rng.random(n) for c in HISTORY if c not in ("epoch", "phase", "best")}
    table = pd.DataFrame({"epoch": np.arange(1, n + 1), "phase": phases, **numbers})
    return table.assign(best=table["val_loss"] == table["val_loss"].min())


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


def every_figure() -> dict[str, Figure]:
    labels, p = predictions(40, 2)
    scores = score(labels, p, np.arange(40), TWO, resamples=20)
    grey = np.zeros((8, 6), np.uint8)
    return {
        "confusion_matrix": figures.confusion_matrix([[1, 2], [3, 4]], TWO),
        "roc": figures.roc(labels, p, TWO, ESTIMATE),
        "precision_recall": figures.precision_recall(labels, p, TWO, ESTIMATE),
        "training": training_curves(history()),
        "probabilities": figures.probabilities(labels, p, TWO, 0.5),
        "calibration": figures.calibration(labels, p, TWO),
        "contact_sheet": contact_sheet([grey], ["a"], title="b", marks=[False]),
        "comparison": comparison({"a": scores}, ["accuracy", "roc_auc"]),
    }


def test_same_numbers_same_file_without_pyplot_or_global_settings(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    again = every_figure()
    for name, figure in every_figure().items():
        figures.save(figure, tmp_path / "1.png")
        figures.save(again[name], tmp_path / "2.png")
        assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes(), name
        height, width = cv2.imread(str(tmp_path / "1.png")).shape[:2]
        assert (width, height) == pytest.approx(figure.get_size_inches() * 160, abs=1)
    assert dict(mpl.rcParams) == before
    assert not Gcf.figs  # what pyplot would hold on to


def test_names_with_dollars_are_not_mathematics(tmp_path: Path) -> None:
    """Unbalanced or wrong TeX would be refused when the figure is drawn."""
    labels, p = predictions(40, 3)
    odd = (r"$\bad$", "a_b", "$x")
    estimates = {"accuracy": ESTIMATE}
    scores = Scores(1, 1, odd, estimates, {}, np.eye(3, dtype=np.int64))
    for figure in (
        figures.confusion_matrix(np.eye(3, dtype=int), odd),
        figures.roc(labels, p, odd, ESTIMATE),
        figures.precision_recall(labels, p, odd, ESTIMATE),
        training_curves(history((odd[0], odd[0], odd[1]))),
        figures.probabilities(labels, p, odd, 0.5),
        figures.probabilities(labels % 2, p[:, :2], odd[1:], 0.5),
        figures.calibration(labels % 2, p[:, :2], odd[:2]),
        contact_sheet([np.eye(4)], [odd[0]], title=odd[0]),
        comparison({odd[0]: scores}, ["accuracy"]),
    ):
        figures.save(figure, tmp_path / "odd.png")


def test_confusion_matrix_shows_counts_and_shares() -> None:
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


def test_confusion_matrix_of_another_shape() -> None:
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
def test_a_missing_class_is_said_and_not_drawn(label: int, said: str) -> None:
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


def test_training_draws_the_history() -> None:
    table = history()
    figure = training_curves(table)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "Accuracy", "ROC AUC"]
    best = table[table["best"]].iloc[0]
    for axes, column in zip(figure.axes, ("loss", "accuracy", "auc"), strict=True):
        for label, name in (("training", column), ("validation", f"val_{column}")):
            np.testing.assert_array_equal(line(axes, label), table[["epoch", name]])
        kept = [[best["epoch"], best[f"val_{column}"]]]
        np.testing.assert_array_equal(line(axes, "weights kept"), kept)
        said = f"kept {best[f'val_{column}']:.2f} at epoch {best['epoch']}"
        assert axes.get_title(loc="right") == said
        assert texts(axes) == ["frozen", "tuned"]
        (change,) = (one for one in axes.lines if one.get_label().startswith("_"))
        np.testing.assert_array_equal(change.get_xdata(), 4.5)
    (key,) = figure.legends
    assert [t.get_text() for t in key.get_texts()] == ["training", "validation", "weights kept"]


def test_training_of_one_phase_and_no_best() -> None:
    table = history(("frozen",) * 3).assign(best=False)
    for axes in training_curves(table).axes:
        assert texts(axes) == ["frozen"]
        assert len(axes.lines) == 3
        assert line(axes, "weights kept").size == 0


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (history().drop(columns=["val_auc", "best"]), "lacks the columns val_auc, best"),
        (history().assign(epoch=[1, 2, 3, 4, 1, 2]), "`epoch` rise from row to row"),
        (history(())[:0], "must have a row an epoch"),
    ],
)
def test_broken_history(broken: pd.DataFrame, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        training_curves(broken)


def heights(axes: Axes, *, hatched: bool) -> float:
    return sum(bar.get_height() for bar in axes.patches if bool(bar.get_hatch()) == hatched)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.73])
def test_probabilities_counts_right_and_wrong(threshold: float) -> None:
    labels, p = predictions(60, 2)
    figure = figures.probabilities(labels, p, TWO, threshold)
    for k, axes in enumerate(figure.axes):
        right = int((((p[:, 1] >= threshold) == k) & (labels == k)).sum())
        total = int((labels == k).sum())
        assert axes.get_title(loc="left") == f"{TWO[k]}: {right} of {total} right"
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
    assert figure.axes[0].get_title(loc="left") == "no: 0 of 0 right"
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


def reported(**estimates: Estimate) -> Scores:
    return Scores(32, 32, TWO, estimates, {}, np.zeros((2, 2), np.int64))


def test_comparison_shows_estimates_and_intervals() -> None:
    unsure = Estimate(0.8, math.nan, math.nan)
    both = reported(accuracy=ESTIMATE, roc_auc=unsure)
    paper = reported(accuracy=wilson_interval(29, 32))
    (axes,) = comparison({"ours": both, "paper": paper}, ["accuracy", "roc_auc"]).axes
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


def test_comparison_of_what_is_undefined() -> None:
    undefined = reported(mcc=Estimate(math.nan, math.nan, math.nan))
    (axes,) = comparison({"a": undefined}, ["mcc"]).axes
    assert texts(axes) == ["Matthews correlation", "undefined"]
    assert not axes.lines


@pytest.mark.parametrize("metrics", [["acuracy"], []])
def test_bad_comparison(metrics: list[str]) -> None:
    with pytest.raises(BadInput, match="`metrics` must be one or more of accuracy"):
        comparison({"a": reported(accuracy=ESTIMATE)}, metrics)


@pytest.mark.parametrize("p", [np.full((3, 3), 1 / 3), np.full(3, 0.5), np.full((2, 2), 0.5)])
def test_predictions_of_another_shape(p: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"`labels` must be \(n,\) and `probabilities` \(n, 2\)"):
        figures.calibration([0, 1, 1], p, TWO)
