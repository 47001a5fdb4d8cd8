"""Figures of a classifier, each a function from plain values to a matplotlib figure.

Nothing here touches pyplot or matplotlib's global settings, so threads can draw in parallel. Where
a curve is undefined, such as the ROC curve of a single class, the figure says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from falx.errors import BadInput
from falx.figures import style
from falx.statistics import Estimate, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BARS = 20  # of a histogram of probabilities
_BINS = 10  # of a reliability diagram: fewer than the calibration error's 15, to stay legible
_BASELINE: dict[str, Any] = {"linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 1}
_CORRECT: dict[str, Any] = {"facecolor": style.BLUE, "edgecolor": style.BLUE}
_MISCLASSIFIED: dict[str, Any] = {
    "facecolor": "white",
    "edgecolor": style.VERMILLION,
    "hatch": "/////",
}
_THRESHOLD: dict[str, Any] = {"color": style.INK, "linewidth": 1, "linestyle": (0, (4, 3))}


def confusion_matrix(confusion: npt.ArrayLike, classes: Sequence[str]) -> Figure:
    """Counts, and fractions of each true class, side by side.

    Args:
        confusion: slices by true class (rows) and predicted class, int (classes, classes).
        classes: their names.

    Raises:
        BadInput: `confusion` has another shape.
    """
    counts = np.asarray(confusion, dtype=np.int64)
    if counts.shape != (len(classes), len(classes)):
        raise BadInput(
            f"`confusion` must have a row and a column for each of {', '.join(classes)}; "
            f"got the shape {counts.shape}."
        )
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    side = max(1.9, 0.8 * len(classes))
    figure = style.sheet(2 * side + 2.2, side + 1.2)
    left, right = figure.subplots(1, 2)
    _matrix(left, shares, [[str(n) for n in row] for row in counts], "Slices")
    _matrix(right, shares, [[_percent(x) for x in row] for row in shares], "Fraction of true class")
    for axes in (left, right):
        turned = {"rotation": 30, "ha": "right"} if len(classes) > 2 else {}
        axes.set_xticks(range(len(classes)), classes, parse_math=False, **turned)
        axes.set_yticks(range(len(classes)), classes, parse_math=False)
    left.set_ylabel("True")
    right.tick_params(labelleft=False)
    return figure


def roc(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str], auc: Estimate
) -> Figure:
    """The ROC curve; with more than two classes one each, versus the rest.

    Args:
        labels: true class of each slice, int (n,).
        probabilities: of each class, float (n, classes) in [0, 1].
        classes: names of the classes; with two, the second is the positive one.
        auc: the area and its interval, a macro average with more than two classes.

    Raises:
        BadInput: the shapes don't agree.
    """
    truth, p = _predictions(labels, probabilities, classes)
    figure, axes = _square("ROC curve", "False positive rate", "True positive rate")
    axes.plot([0, 1], [0, 1], color=style.RULE, linewidth=1.2, zorder=1)
    style.note(
        axes, 0.5, 0.5, "chance", rotation=45, ha="center", va="center", boxed=True, zorder=1.5
    )
    for i, k in enumerate(_ranked(classes)):
        positive = truth == k
        if positive.all() or not positive.any():
            _note_missing_curve(axes, i, positive, classes[k])
            continue
        false_positive_rate, true_positive_rate, _ = roc_curve(
            positive, p[:, k], drop_intermediate=False
        )
        name = f"{classes[k]} {roc_auc_score(positive, p[:, k]):.2f}"
        axes.plot(
            false_positive_rate,
            true_positive_rate,
            label=name,
            zorder=3,
            clip_on=False,
            **style.line(i),
        )
    style.key(axes, _headline("AUC", auc, classes), "lower right", entries=len(classes) > 2)
    return figure


def precision_recall(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    classes: Sequence[str],
    average_precision: Estimate,
) -> Figure:
    """The precision-recall curve, with the prevalence as the precision of chance.

    Args:
        labels: true class of each slice, int (n,).
        probabilities: of each class, float (n, classes) in [0, 1].
        classes: names of the classes; with two, the second is the positive one.
        average_precision: the area and its interval, a macro average with more than two classes.

    Raises:
        BadInput: the shapes don't agree.
    """
    truth, p = _predictions(labels, probabilities, classes)
    figure, axes = _square("Precision and recall", "Recall (sensitivity)", "Precision")
    for i, k in enumerate(_ranked(classes)):
        positive = truth == k
        if not positive.any():
            _note_missing_curve(axes, i, positive, classes[k])
            continue
        precision, recall, _ = precision_recall_curve(positive, p[:, k])
        prevalence = positive.mean()
        name = f"{classes[k]} {average_precision_score(positive, p[:, k]):.2f}"
        steps: dict[str, Any] = {"drawstyle": "steps-post", "zorder": 3, "clip_on": False}
        axes.plot(recall, precision, label=name, **steps, **style.line(i))
        axes.axhline(prevalence, **(style.line(i) | _BASELINE))
    prevalences = [np.mean(truth == k) for k in _ranked(classes)]
    label = f"prevalence {prevalences[0]:.2f}" if len(classes) == 2 else "prevalence"
    style.note(axes, 0.96, max(prevalences) + 0.012, label, ha="right", zorder=2)
    title = _headline("Average precision", average_precision, classes)
    style.key(axes, title, "lower left", entries=len(classes) > 2)
    return figure


def probabilities(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str], threshold: float
) -> Figure:
    """Histograms of the predicted probabilities by true class; misclassified slices are hatched.

    With two classes it is the probability of the positive one, with the threshold; with more, that
    of the true class.

    Args:
        labels: true class of each slice, int (n,).
        probabilities: of each class, float (n, classes) in [0, 1].
        classes: names of the classes; with two, the second is the positive one.
        threshold: the lowest probability that is classified as positive, in [0, 1].

    Raises:
        BadInput: the shapes don't agree.
    """
    truth, p = _predictions(labels, probabilities, classes)
    binary = len(classes) == 2
    shown = p[:, 1] if binary else p[np.arange(len(p)), truth]
    right = (p[:, 1] >= threshold if binary else p.argmax(axis=1)) == truth
    figure = style.sheet(6.4, 1.4 * len(classes) + 1.0)
    panels: Sequence[Axes] = figure.subplots(len(classes), 1, sharex=True)
    for k, axes in enumerate(panels):
        here = truth == k
        counted = f"{classes[k]}: {(right & here).sum()} of {here.sum()} correct"
        style.dress(axes, title=counted, y="Slices").title.set_fontsize(style.BODY)
        _bars(axes, shown[here & right], shown[here & ~right])
        if binary:
            axes.axvline(threshold, **_THRESHOLD)
    shown_class = classes[1] if binary else "the true class"
    panels[-1].set_xlabel(f"Probability of {shown_class}", fontsize=style.BODY, parse_math=False)
    handles: list[Artist] = [
        Patch(label="correct", **_CORRECT),
        Patch(label="misclassified", **_MISCLASSIFIED),
    ]
    if binary:
        handles.append(Line2D([], [], label=f"threshold {threshold:.2f}", **_THRESHOLD))
    style.key_below(figure, handles)
    return figure


def calibration(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str]
) -> Figure:
    """The reliability diagram in ten bins of equal width, with the slices in each.

    With two classes it shows the probability of the positive one; with more, that of the most
    probable (Guo et al., ICML 2017). Whiskers are Wilson's 95 % confidence intervals, which treat
    the slices of a bin as independent.

    Args:
        labels: true class of each slice, int (n,).
        probabilities: of each class, float (n, classes) in [0, 1].
        classes: names of the classes; with two, the second is the positive one.

    Raises:
        BadInput: the shapes don't agree.
    """
    truth, p = _predictions(labels, probabilities, classes)
    binary = len(classes) == 2
    confidence = p[:, 1] if binary else p.max(axis=1)
    outcome = (truth == (1 if binary else p.argmax(axis=1))).astype(np.int64)
    name = f"probability of {classes[1]}" if binary else "probability of the predicted class"
    figure = style.sheet(4.6, 5.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    style.dress(
        above,
        title="Reliability diagram",
        y=f"Observed fraction of {classes[1]}" if binary else "Accuracy",
    )
    style.dress(below, x=f"Predicted {name}", y="Slices")
    style.unit_square(above)
    above.set_aspect("auto")  # keeps it aligned with the bars below
    _reliability(above, outcome, confidence)
    bars = below.bar(
        (np.arange(_BINS) + 0.5) / _BINS, _in_bins(confidence), width=0.9 / _BINS, color=style.BLUE
    )
    below.bar_label(bars, fontsize=style.SMALL, color=style.QUIET, padding=1)
    below.margins(y=0.3)
    return figure


def _predictions(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str]
) -> tuple[Ints, Floats]:
    truth = np.asarray(labels, dtype=np.int64)
    p = np.asarray(probabilities, dtype=np.float64)
    if not truth.size or p.shape != (truth.size, len(classes)) or truth.ndim != 1:
        raise BadInput(
            f"`labels` must be (n,) and `probabilities` (n, {len(classes)}), n at least 1; "
            f"got {truth.shape} and {p.shape}."
        )
    return truth, p


def _ranked(classes: Sequence[str]) -> Sequence[int]:
    """The classes that get a curve: the positive one of two, or all."""
    return (1,) if len(classes) == 2 else range(len(classes))


def _headline(name: str, estimate: Estimate, classes: Sequence[str]) -> str:
    return f"{name} {estimate}" if len(classes) == 2 else f"{name} (macro) {estimate}"


def _square(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = style.sheet(4.6, 4.6)
    axes = style.dress(figure.subplots(), title=title, x=x, y=y)
    style.unit_square(axes)
    return figure, axes


def _note_missing_curve(axes: Axes, i: int, positive: npt.NDArray[np.bool_], name: str) -> None:
    """Say why curve `i` is undefined."""
    reason = f"{'all' if positive.all() else 'none'} of these slices are {name}: no curve"
    style.note(axes, 0.5, 0.72 - 0.06 * i, reason, ha="center", boxed=True, zorder=5)


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{100 * share:.0f} %"


def _matrix(axes: Axes, shares: Floats, texts: list[list[str]], title: str) -> None:
    style.dress(axes, title=title, x="Predicted")
    axes.imshow(np.nan_to_num(shares), cmap=style.SHADES, vmin=0, vmax=1)
    size = 14 if len(shares) == 2 else style.BODY
    for (row, column), share in np.ndenumerate(shares):
        ink = "white" if share > 0.7 else style.INK
        axes.text(
            column, row, texts[row][column], ha="center", va="center", fontsize=size, color=ink
        )
    inner = np.arange(len(shares) - 1) + 0.5
    axes.hlines(inner, -0.5, len(shares) - 0.5, color="white", linewidth=2)
    axes.vlines(inner, -0.5, len(shares) - 0.5, color="white", linewidth=2)
    axes.tick_params(length=0)
    axes.spines[:].set(visible=True, color=style.RULE)


def _bars(axes: Axes, right: Floats, wrong: Floats) -> None:
    """A histogram, misclassified slices stacked on correct ones."""
    edges = np.linspace(0, 1, _BARS + 1)
    below, above = (np.histogram(p, edges)[0] for p in (right, wrong))
    middle, width = edges[:-1] + 0.5 / _BARS, 0.86 / _BARS
    axes.bar(middle[below > 0], below[below > 0], width, **_CORRECT)
    axes.bar(middle[above > 0], above[above > 0], width, below[above > 0], **_MISCLASSIFIED)
    axes.set(xlim=(0, 1), ylim=(0, 1.08 * max(1, (below + above).max())))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _in_bins(confidence: Floats, weights: Ints | None = None) -> Ints:
    """Sums in the bins of scikit-learn's `calibration_curve`, closed on the right."""
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    sums = np.bincount(np.searchsorted(inner, confidence), weights=weights, minlength=_BINS)
    return sums.astype(np.int64)


def _reliability(axes: Axes, outcome: Ints, confidence: Floats) -> None:
    share, mean = calibration_curve(outcome, confidence, n_bins=_BINS, pos_label=1)
    counts = _in_bins(confidence)
    hits = _in_bins(confidence, outcome)[counts > 0]
    spans = [wilson_interval(int(k), int(n)) for k, n in zip(hits, counts[counts > 0], strict=True)]
    axes.plot([0, 1], [0, 1], color=style.RULE, linewidth=1.2, zorder=1)
    style.note(
        axes, 0.5, 0.5, "perfect", rotation=45, ha="center", va="center", boxed=True, zorder=1.5
    )
    axes.vlines(
        mean, [s.low for s in spans], [s.high for s in spans], color=style.BLUE, linewidth=1
    )
    axes.plot(mean, share, marker="o", markersize=5.5, zorder=3, clip_on=False, **style.line(0))
