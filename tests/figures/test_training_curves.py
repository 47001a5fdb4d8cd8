"""Training curves must show the history that they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from falx.errors import BadInput
from falx.figures.training_curves import HISTORY, training_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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


def test_training_curves_are_those_of_the_history() -> None:
    table = history()
    figure = training_curves(table)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "Accuracy", "ROC AUC"]
    best = table[table["best"]].iloc[0]
    for axes, column in zip(figure.axes, ("loss", "accuracy", "auc"), strict=True):
        for label, name in (("training", column), ("validation", f"val_{column}")):
            np.testing.assert_array_equal(line(axes, label), table[["epoch", name]])
        kept = [[best["epoch"], best[f"val_{column}"]]]
        np.testing.assert_array_equal(line(axes, "weights kept"), kept)
        kept_words = f"kept {best[f'val_{column}']:.2f} at epoch {best['epoch']}"
        assert axes.get_title(loc="right") == kept_words
        assert texts(axes) == ["frozen", "tuned"]
        (change,) = (one for one in axes.lines if one.get_label().startswith("_"))
        np.testing.assert_array_equal(change.get_xdata(), 4.5)
    (key,) = figure.legends
    assert [t.get_text() for t in key.get_texts()] == ["training", "validation", "weights kept"]


def test_a_training_of_one_phase_without_a_best_epoch() -> None:
    table = history(("frozen",) * 3).assign(best=False)
    for axes in training_curves(table).axes:
        assert texts(axes) == ["frozen"]
        assert len(axes.lines) == 3
        assert line(axes, "weights kept").size == 0


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (history().drop(columns=["val_auc", "best"]), "lacks the columns val_auc, best"),
        (history().assign(epoch=[1, 2, 3, 4, 1, 2]), "`epoch` must increase from row to row"),
        (history(())[:0], "must have one row per epoch"),
    ],
)
def test_a_broken_history_is_refused(broken: pd.DataFrame, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        training_curves(broken)
