"""Every figure is reproducible, keeps out of global state, and shows text as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib._pylab_helpers import Gcf

from falx.evaluation.metrics import Scores, score
from falx.figures import classification as figures
from falx.figures import style
from falx.figures.contact_sheet import contact_sheet
from falx.figures.forest import forest_plot
from falx.figures.training_curves import HISTORY, training_curves
from falx.statistics import Estimate

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

TWO = ("no", "yes")
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


def every_figure() -> dict[str, Figure]:
    labels, p = predictions(40, 2)
    scores = score(labels, p, np.arange(40), TWO, resamples=20)
    gray = np.zeros((8, 6), np.uint8)
    return {
        "confusion_matrix": figures.confusion_matrix([[1, 2], [3, 4]], TWO),
        "roc": figures.roc(labels, p, TWO, ESTIMATE),
        "precision_recall": figures.precision_recall(labels, p, TWO, ESTIMATE),
        "training": training_curves(history()),
        "probabilities": figures.probabilities(labels, p, TWO, 0.5),
        "calibration": figures.calibration(labels, p, TWO),
        "contact_sheet": contact_sheet([gray], ["a"], title="b", marks=[False]),
        "comparison": forest_plot({"a": scores}, ["accuracy", "roc_auc"]),
    }


def test_same_numbers_same_file_without_pyplot_or_global_settings(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    again = every_figure()
    for name, figure in every_figure().items():
        style.save(figure, tmp_path / "1.png")
        style.save(again[name], tmp_path / "2.png")
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
        forest_plot({odd[0]: scores}, ["accuracy"]),
    ):
        style.save(figure, tmp_path / "odd.png")


def test_a_figure_shows_itself_at_its_size_in_inches(tmp_path):
    figure = style.sheet(4, 3)
    figure.subplots().plot([0, 1])
    picture, shown = figure._repr_png_()
    style.save(figure, tmp_path / "a.png")
    assert picture == (tmp_path / "a.png").read_bytes()
    assert shown == {"width": 384, "height": 288}
